"""KFP's published API, as the installed kfp_server_api carries it: which calls there are."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from infra.rehearsal import openapi

_BLOCK = re.compile(r"\n    def (\w+)_with_http_info\(self.*?(?=\n    def |\Z)", re.DOTALL)
_CALL = re.compile(r"call_api\(\s*'([^']+)', '([A-Z]+)'")
_QUERY = re.compile(r"query_params\.append\(\('([^']+)'")
_BODY = re.compile(r"body_params = local_var_params\['(\w+)'\]")
_TYPE = re.compile(r":type (\w+): (\S+)")


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
    """See that a JSON value is of a type of the API. Raises openapi.Wrong naming the place."""
    from kfp_server_api import models

    openapi.check(value, kind, models, where)


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
