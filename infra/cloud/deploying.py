"""What the endpoints of every cloud are told, and read of the model that they are to serve."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from infra.errors import InputError

S = TypeVar("S")


def told_by(
    environment: Mapping[str, str], variable: str, kind: Callable[..., S], provider: str
) -> S:
    """What deploy is told of endpoints. Raises InputError where it is not, or by other code."""
    text = environment.get(variable)
    if not text:
        raise InputError(
            f"{variable}, which says what an endpoint is made of, is not set; deploy in a "
            f"pipeline, or by python -m pipelines deploy --provider {provider}"
        )
    try:
        return kind(**json.loads(text))
    except (TypeError, ValueError):
        raise InputError(
            f"{variable} does not say what an endpoint is made of as this version reads it; the "
            "image of the step and the command that starts the run must be of the same version"
        ) from None


def operation(model: Path) -> str:
    """An operation of the model that can be tried without data; empty where it has none.

    Raises InputError where it cannot be served.
    """
    file = model / "serving.json"
    try:
        found = json.loads(file.read_text(encoding="utf-8"))["operations"]
        return "sample" if "sample" in found else ""
    except FileNotFoundError:
        raise InputError(f"{model} is no model to serve: it has no serving.json") from None
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{file} is damaged: it names no operations; train anew") from None
