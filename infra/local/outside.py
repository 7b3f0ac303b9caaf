"""What a pipeline takes from this machine: data (--data) and artefacts (dsl.importer)."""

from __future__ import annotations

import os
from pathlib import Path

from infra.errors import InputError, UnsupportedError
from infra.plan import Constant, Secret, Step

DATA = "data"
"""The input by which a step is told of data."""


def paths(step: Step) -> dict[str, str]:
    """Which values of a step of a lowered plan are paths of this machine, by input."""
    given = {
        name: str(source.value)
        for name, source in step.inputs.items()
        if isinstance(source, Constant) and not isinstance(source, Secret)
    }
    return {
        name: text
        for name, text in given.items()
        if os.path.isabs(text) and text != "/" and os.path.exists(text)  # noqa: PTH110, PTH117
    }


def imported(uri: str, who: str) -> Path:
    """The file or folder at ``uri``, a path or a file:// URI.

    Raises UnsupportedError where it lies elsewhere, InputError where there is none.
    """
    from urllib.parse import unquote, urlsplit

    if not uri:
        raise InputError(f"{who} imports an artefact, and its URI is empty")
    parts = urlsplit(uri)
    if "://" in uri and (parts.scheme != "file" or parts.netloc not in ("", "localhost")):
        raise UnsupportedError(
            f"{who} imports {uri}, and local reads only paths and file:// URIs of this machine; "
            "copy it here and import the copy"
        )
    path = Path(unquote(parts.path) if "://" in uri else uri).resolve()
    if not path.exists():
        raise InputError(f"{who} imports {uri}, and there is no file or folder {path}")
    return path
