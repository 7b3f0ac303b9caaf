"""A person's own fields, laid over the request that a step became. Pure."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from infra.errors import SettingsError


def over(body: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The body with ``overrides`` laid over it; mappings are merged, all else is replaced."""
    found = dict(body)
    for name, value in overrides.items():
        under = found.get(name)
        merge = isinstance(value, Mapping) and isinstance(under, Mapping)
        found[name] = over(under, value) if merge else value  # type: ignore[arg-type]
    return found


@contextlib.contextmanager
def priced(step: str) -> Iterator[None]:
    """Raise SettingsError where overrides leave of a step nothing that it can be priced by."""
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError):
        raise SettingsError(
            f"the setting overrides leaves step {step} without a machine, a number of them or a "
            "longest time as the cloud has them; see its documentation of the request"
        ) from None
