"""Plain data: what nouns become where they are kept, sent and digested."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


def to_data(value: object) -> Json:
    """Turn nouns into JSON data; a noun becomes an object tagged with its class name."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): to_data(item) for key, item in value.items()}
    if names := getattr(value, "_fields", None):
        fields: dict[str, Json] = {"is": type(value).__name__}
        fields.update({name: to_data(getattr(value, name)) for name in names})
        return fields
    if isinstance(value, list | tuple):
        return [to_data(item) for item in value]
    raise TypeError(f"{type(value).__name__} is not plain data")


def canonical(value: Json) -> bytes:
    """One spelling for one value, for digests."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def as_text(value: Json) -> str:
    """A value the way KFP puts it on a command line: strings as they are, the rest as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
