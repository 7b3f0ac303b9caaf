"""Bodies held against the published model of Azure ML, and against what its reference says beside.

    problems("jobs", "2025-01-01-preview", body) -> [Problem(path, what is wrong)]

azure-ai-ml itself sends whatever it is given. The model, in schema/models.json, says what must be
there, types, patterns, least and most, the known values, and which fields each kind has; a version
of the API that is not in it is held against the nearest one before. What it cannot say is in
``rules.py`` and ``serving/rules.py``, the graph of a pipeline in ``graph.py``.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from infra.cloud.problems import Problem, shown, under

_MODELS = Path(__file__).parent / "schema" / "models.json"
_DURATION = re.compile(r"P(?!$)(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?")
_SENT_AS_NUMBER = ("hash_version",)
"""What azure-ai-ml sends as a number among texts, and Azure takes."""


def problems(kind: str, version: str, body: Mapping[str, Any]) -> list[Problem]:
    """Everything wrong with a body, in the order of its fields. Raises KeyError: no such kind.

    Where the model finds something, the rules are not asked: they count on its shapes.
    """
    from infra.azure import rules
    from infra.azure.serving import rules as serving

    found = list(_Walk(_version(kind, version)).root(kind, body))
    return found or [*rules.problems(kind, body), *serving.problems(kind, body)]


@functools.cache
def _models() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_MODELS.read_text(encoding="utf-8"))
    return found


def _version(kind: str, version: str) -> str:
    """The version to be held against: this one, or else the newest before, or the first."""
    known = sorted(each for each, told in _models().items() if kind in told["roots"])
    if not known:
        raise KeyError(kind)
    return max((each for each in known if each <= version), default=known[0])


class _Walk:
    """Walks through bodies of one version."""

    def __init__(self, version: str) -> None:
        self._roots: Mapping[str, str] = _models()[version]["roots"]
        self._models: Mapping[str, Any] = _models()[version]["models"]

    def root(self, kind: str, body: Any) -> Iterator[Problem]:
        return self._value(self._roots[kind], {}, body, "")

    def _value(
        self, kind: str, field: Mapping[str, Any], value: Any, path: str
    ) -> Iterator[Problem]:
        if kind.startswith("["):
            yield from self._list(kind[1:-1], value, path)
        elif kind.startswith("{"):
            yield from self._map(kind[1:-1], value, path)
        elif kind in self._models:
            yield from self._model(kind, value, path)
        elif kind in _PLAIN:
            fits, words = _PLAIN[kind]
            if not fits(value):
                yield Problem(path, f"is {shown(value)}, not {words}")
            else:
                yield from _closer(field, value, path)

    def _list(self, kind: str, value: Any, path: str) -> Iterator[Problem]:
        if not isinstance(value, list):
            yield Problem(path, f"is {shown(value)}, not a list")
            return
        for at, item in enumerate(value):
            yield from self._value(kind, {}, item, f"{path}[{at}]")

    def _map(self, kind: str, value: Any, path: str) -> Iterator[Problem]:
        if not isinstance(value, Mapping):
            yield Problem(path, f"is {shown(value)}, not an object")
            return
        for name, item in value.items():
            if item is not None and name not in _SENT_AS_NUMBER:
                yield from self._value(kind, {}, item, f"{path}[{name!r}]")

    def _model(self, kind: str, value: Any, path: str) -> Iterator[Problem]:
        if not isinstance(value, Mapping):
            yield Problem(path, f"is {shown(value)}, not an object")
            return
        model = self._models[kind]
        if kinds := model.get("kinds"):
            chosen = value.get(kinds["by"])
            if chosen not in kinds["of"]:
                known = ", ".join(sorted(kinds["of"]))
                lacks = "is missing" if chosen is None else f"is {shown(chosen)}"
                yield Problem(under(path, kinds["by"]), f"{lacks}; it is one of {known}")
                return
            yield from self._model(kinds["of"][chosen], value, path)
            return
        yield from self._fields(kind, model["fields"], value, path)

    def _fields(
        self, kind: str, fields: Mapping[str, Any], value: Mapping[str, Any], path: str
    ) -> Iterator[Problem]:
        for name, field in fields.items():
            if field.get("required") and not field.get("readonly") and value.get(name) is None:
                yield Problem(under(path, name), "is missing")
        for name, item in value.items():
            if name not in fields:
                yield Problem(under(path, name), f"is not a field of {kind}")
            elif item is not None and not fields[name].get("readonly"):
                yield from self._value(fields[name]["type"], fields[name], item, under(path, name))


def _closer(field: Mapping[str, Any], value: Any, path: str) -> Iterator[Problem]:
    """What a field says of its value beside the type."""
    if "values" in field and value not in field["values"]:
        known = ", ".join(field["values"])
        yield Problem(path, f"is {shown(value)}, none of the known values: {known}")
        return
    if isinstance(value, str):
        if len(value) < field.get("shortest", 0):
            yield Problem(path, f"has {len(value)} characters; the least is {field['shortest']}")
        elif len(value) > field.get("longest", len(value)):
            yield Problem(path, f"has {len(value)} characters; the most is {field['longest']}")
        elif "pattern" in field and not re.search(field["pattern"], value):
            yield Problem(path, f"is {shown(value)}, which does not match {field['pattern']}")
    elif _is_number(value):
        if value < field.get("least", value):
            yield Problem(path, f"is {value}; the least is {field['least']}")
        if value > field.get("most", value):
            yield Problem(path, f"is {value}; the most is {field['most']}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_time(value: Any) -> bool:
    try:
        datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError:
        return False
    return isinstance(value, str)


def _is_duration(value: Any) -> bool:
    return isinstance(value, str) and _DURATION.fullmatch(value) is not None


_PLAIN: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "str": (lambda value: isinstance(value, str), "text"),
    "int": (_is_whole, "a whole number"),
    "long": (_is_whole, "a whole number"),
    "float": (_is_number, "a number"),
    "bool": (lambda value: isinstance(value, bool), "true or false"),
    "iso-8601": (_is_time, "a time"),
    "duration": (_is_duration, "a duration as ISO 8601 has it, PT1H"),
    "object": (lambda _: True, ""),
}
