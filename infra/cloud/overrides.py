"""A person's own fields, laid over the request that a step became. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def over(body: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The body with ``overrides`` laid over it; mappings are merged, all else is replaced."""
    found = dict(body)
    for name, value in overrides.items():
        under = found.get(name)
        merge = isinstance(value, Mapping) and isinstance(under, Mapping)
        found[name] = over(under, value) if merge else value  # type: ignore[arg-type]
    return found
