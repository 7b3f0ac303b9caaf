"""Where an artefact from outside the pipeline (dsl.importer) lies on this machine."""

from __future__ import annotations

from pathlib import Path

from infra.errors import InputError, UnsupportedError


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
