"""JSON held against the models of a client that OpenAPI Generator made: KFP's, Kubernetes'.

Such a client carries the published description of its API: each model's fields, their types, which
must be there, and what they may say. A server that passes over what it does not know would let a
misspelt field be lost; here it is refused, by its place.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from types import ModuleType
from typing import Any

_SCALARS: Mapping[str, tuple[tuple[type, ...], str]] = {
    "str": ((str,), "text"),
    "int": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "bool": ((bool,), "true or false"),
}


class Wrong(Exception):
    """A body that the description does not allow; says where."""


def check(
    value: Any, kind: str, models: ModuleType, where: str = "$", partial: bool = False
) -> None:
    """See that a JSON value is of a type of the description. Raises Wrong naming the place.

    With ``partial``, as for a merge patch, what must be there may be left out.
    """
    if value is None or kind == "object":
        return
    if kind.startswith("list["):
        _require(isinstance(value, list), where, value, "a list")
        for at, item in enumerate(value):
            check(item, kind[5:-1], models, f"{where}[{at}]", partial)
    elif kind.startswith("dict("):
        _require(isinstance(value, dict), where, value, "an object")
        for name, item in value.items():
            check(item, kind[5:-1].partition(", ")[2], models, f"{where}.{name}", partial)
    elif kind == "datetime":
        _require(isinstance(value, str) and _is_time(value), where, value, "a time")
    elif kind in _SCALARS:
        types, words = _SCALARS[kind]
        fits = isinstance(value, types) and (kind == "bool" or not isinstance(value, bool))
        _require(fits, where, value, words)
    else:
        _check_model(value, kind, models, where, partial)


def _check_model(value: Any, kind: str, models: ModuleType, where: str, partial: bool) -> None:
    model = getattr(models, kind)
    if allowed := getattr(model, "allowable_values", None):
        numbered = isinstance(value, int) and 0 <= value < len(allowed)
        _require(value in allowed or numbered, where, value, f"one of {', '.join(allowed)}")
        return
    _require(isinstance(value, dict), where, value, "an object")
    names = {spelled: name for name, spelled in model.attribute_map.items()}
    names |= {_camel(spelled): name for spelled, name in names.items()}
    given: dict[str, Any] = {}
    for spelled, item in value.items():
        if spelled not in names:
            raise Wrong(f"{where}.{spelled} is not a field of {kind}")
        check(item, model.openapi_types[names[spelled]], models, f"{where}.{spelled}", partial)
        given[names[spelled]] = item
    if partial:
        return
    try:
        model(**given)
    except ValueError as error:  # its setters know what must be there
        raise Wrong(f"{where}: {error}") from None


def _require(fits: bool, where: str, value: Any, words: str) -> None:
    if not fits:
        raise Wrong(f"{where}: {value!r} is not {words}"[:400])


def _is_time(text: str) -> bool:
    try:
        datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return False
    return True


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)
