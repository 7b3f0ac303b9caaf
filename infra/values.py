"""Values of pipeline parameters, read by their type, and the quantities that IR holds as text."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from typing import Any

from infra.errors import InputError, nearest, short
from infra.plan import Json, as_text
from infra.redaction import HIDDEN, is_secret

_TYPES = {
    "NUMBER_INTEGER": "a whole number",
    "NUMBER_DOUBLE": "a number",
    "BOOLEAN": "true or false",
    "LIST": "a JSON list",
    "STRUCT": "a JSON object",
    "STRING": "text",
}
_SCALE = {
    "": 1.0, "m": 1e-3, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40,
}  # fmt: skip


def bind(definitions: Mapping[str, Any], given: Mapping[str, Json]) -> dict[str, Json]:
    """Give every parameter of the pipeline a value: the person's, else the default.

    Raises InputError on an unknown name, a value of the wrong type, or a missing one.
    """
    for name in given:
        if name not in definitions:
            hint = nearest(name, definitions, "it has ")
            raise InputError(f"the pipeline has no parameter {name}; {hint}")
    values: dict[str, Json] = {}
    for name, definition in definitions.items():
        kind = definition.get("parameterType", "STRING")
        if name in given:
            values[name] = _finite(typed(given[name], kind, name), name)
        elif "defaultValue" in definition:
            values[name] = neat(definition["defaultValue"], kind)
        elif definition.get("isOptional"):
            values[name] = None
        else:
            raise InputError(f"the pipeline needs a value for {name}: give --param {name}=...")
    return values


def typed(value: Json, kind: str, name: str) -> Json:
    """Read ``value``, perhaps text from a command line, as a parameter of type ``kind``."""
    wrong = InputError(f"{name} must be {_TYPES.get(kind, kind)}, and {_shown(name, value)} is not")
    if kind == "STRING":
        if not isinstance(value, str):
            raise wrong
        return value
    if isinstance(value, str):
        try:
            value = json.loads(value.lower() if kind == "BOOLEAN" else value)
        except ValueError:
            raise wrong from None
    value = neat(value, kind)
    if not _fits(value, kind):
        raise wrong
    return value


def _finite(value: Json, name: str) -> Json:
    """Refuse what no JSON request can carry: NaN, infinity, and text that is not UTF-8."""
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except ValueError:
        raise InputError(
            f"{name} must be finite numbers and UTF-8 text: not {_shown(name, value)}"
        ) from None
    return value


def _shown(name: str, value: Json) -> str:
    return HIDDEN if is_secret(name) else short(repr(value))


def _fits(value: Json, kind: str) -> bool:
    if kind == "BOOLEAN" or isinstance(value, bool):
        return kind == "BOOLEAN" and isinstance(value, bool)
    if kind == "NUMBER_INTEGER":
        return isinstance(value, int)
    if kind == "NUMBER_DOUBLE":
        return isinstance(value, int | float)
    return isinstance(value, list if kind == "LIST" else dict)


def neat(value: Json, kind: str) -> Json:
    """Undo protobuf's one number type: 3.0 where a whole number was meant becomes 3."""
    if isinstance(value, float) and kind != "NUMBER_DOUBLE" and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [neat(item, "") for item in value]
    if isinstance(value, dict):
        return {key: neat(item, "") for key, item in value.items()}
    return value


def fitted(value: Json, kind: str) -> Json:
    """A loop's item, whose type kfp often does not know, as an input of type ``kind`` takes it."""
    if kind == "STRING":
        return as_text(value)
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            value = json.loads(value)
    return neat(value, kind)


def quantity(text: str, where: str, unit: str = "") -> float:
    """Read a Kubernetes quantity (1500m, 2Gi), in ``unit``; a bare number is in it already."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([a-zA-Z]{0,2})", text.strip())
    if not match or match.group(2) not in _SCALE:
        raise InputError(
            f"step {where} asks for the quantity {short(repr(text))}; write it like 2, 500m or 4Gi"
        )
    number, suffix = float(match.group(1)), match.group(2)
    return number if not suffix else number * _SCALE[suffix] / _SCALE[unit]


def seconds(text: str, where: str) -> float:
    """Read a protobuf duration such as 1.5s. Raises InputError."""
    if not re.fullmatch(r"\d+(\.\d+)?s", text):
        raise InputError(f"step {where} waits for {short(repr(text))}; write it like 1.5s")
    return float(text[:-1])


def whole(text: str, where: str) -> int:
    """Read a count that IR may hold as text. Raises InputError."""
    if not re.fullmatch(r"\d{1,9}", text):
        raise InputError(f"step {where} asks for {short(repr(text))}, which is no whole number")
    return int(text)
