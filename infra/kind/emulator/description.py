"""KFP's published API, as the installed kfp_server_api carries it: which calls there are, and what
their bodies may hold. KFP passes over a field that it does not know; here it is refused.
"""

from __future__ import annotations

import datetime
import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

_BLOCK = re.compile(r"\n    def (\w+)_with_http_info\(self.*?(?=\n    def |\Z)", re.DOTALL)
_CALL = re.compile(r"call_api\(\s*'([^']+)', '([A-Z]+)'")
_QUERY = re.compile(r"query_params\.append\(\('([^']+)'")
_BODY = re.compile(r"body_params = local_var_params\['(\w+)'\]")
_TYPE = re.compile(r":type (\w+): (\S+)")
_SCALARS: Mapping[str, tuple[tuple[type, ...], str]] = {
    "str": ((str,), "text"),
    "int": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "bool": ((bool,), "true or false"),
}


class Wrong(Exception):
    """A call or a body that the description does not allow; says where."""


class Operation(NamedTuple):
    """One call. ``query`` maps the names it may have to their types; ``body`` is a type's name."""

    name: str
    method: str
    path: re.Pattern[str]
    query: Mapping[str, str]
    body: str


@functools.cache
def operations() -> tuple[Operation, ...]:
    """Every call of the API."""
    import kfp_server_api

    files = Path(kfp_server_api.__file__).parent.glob("api/*_service_api.py")
    return tuple(
        operation for file in sorted(files) for operation in _read(file.read_text(encoding="utf-8"))
    )


def check(value: Any, kind: str, where: str = "$") -> None:
    """See that a JSON value is of a type of the description. Raises Wrong naming the place."""
    if value is None or kind == "object":
        return
    if kind.startswith("list["):
        _require(isinstance(value, list), where, value, "a list")
        for at, item in enumerate(value):
            check(item, kind[5:-1], f"{where}[{at}]")
    elif kind.startswith("dict("):
        _require(isinstance(value, dict), where, value, "an object")
        for name, item in value.items():
            check(item, kind[5:-1].partition(", ")[2], f"{where}.{name}")
    elif kind == "datetime":
        _require(isinstance(value, str) and _is_time(value), where, value, "a time")
    elif kind in _SCALARS:
        types, words = _SCALARS[kind]
        fits = isinstance(value, types) and (kind == "bool" or not isinstance(value, bool))
        _require(fits, where, value, words)
    else:
        _check_model(value, kind, where)


def _check_model(value: Any, kind: str, where: str) -> None:
    import kfp_server_api

    model = getattr(kfp_server_api.models, kind)
    if allowed := getattr(model, "allowable_values", None):
        numbered = isinstance(value, int) and 0 <= value < len(allowed)
        _require(value in allowed or numbered, where, value, f"one of {', '.join(allowed)}")
        return
    _require(isinstance(value, dict), where, value, "an object")
    known = {model.attribute_map[name]: inner for name, inner in model.openapi_types.items()}
    known |= {_camel(name): inner for name, inner in known.items()}
    for name, item in value.items():
        if name not in known:
            raise Wrong(f"{where}.{name} is not a field of {kind}")
        check(item, known[name], f"{where}.{name}")


def _require(fits: bool, where: str, value: Any, words: str) -> None:
    if not fits:
        raise Wrong(f"{where}: {value!r} is not {words}"[:400])


def _read(source: str) -> Iterator[Operation]:
    for block in _BLOCK.finditer(source):
        call = _CALL.search(block.group())
        if call is None:
            continue
        types = dict(_TYPE.findall(block.group()))
        body = _BODY.search(block.group())
        parts = re.split(r"(\{[^}]+\})", call.group(1))
        path = "".join("([^/:]+)" if part[:1] == "{" else re.escape(part) for part in parts)
        yield Operation(
            name=block.group(1),
            method=call.group(2),
            path=re.compile(f"{path}$"),
            query={name: types.get(name, "str") for name in _QUERY.findall(block.group())},
            body=types[body.group(1)].rstrip(",") if body else "",
        )


def _is_time(text: str) -> bool:
    try:
        datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return False
    return True


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)
