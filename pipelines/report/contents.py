"""What the report reads inside artefacts: measurements, curves, pictures, where the data is from.

Files are known by their names: ``metrics.json``, ``history.json``, ``schema.json`` and pictures,
in an artefact's directory or below it. An artefact of KFP's type Metrics may be a JSON file itself.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from pipelines.report.facts import Artefact, Facts

_JSON_BYTES = 16 * 10**6
_PICTURE_BYTES = 600_000
"""Bytes of pictures in all: with a third more for base64 the report stays under a megabyte."""
_FIRST = ("samples", "reconstructions", "interpolation")
_DRAWN = ("curves",)
"""Pictures that the report draws itself wherever it has the numbers."""


class Picture(NamedTuple):
    """A picture as a data URI. Sizes are in pixels, 0 where they are not known."""

    name: str
    step: str
    uri: str
    width: int
    height: int


class Contents(NamedTuple):
    """What was found; everything is empty where nothing was.

    ``judged`` is metrics.json of whatever step judges, ``history`` history.json of the model,
    ``schema`` that of the data set; ``problems`` say what is there and cannot be shown.
    """

    judged: Mapping[str, Any]
    history: Any
    schema: Mapping[str, Any]
    pictures: list[Picture]
    problems: list[str]


def read(facts: Facts) -> Contents:
    """Look into every artefact that lies here."""
    problems: list[str] = []
    judged: dict[str, Any] = {}
    for artefact in facts.artefacts:
        for file in _named(artefact, "metrics.json", or_kind="system.Metrics"):
            found = _json(file, artefact, problems)
            if isinstance(found, dict):
                judged |= found if "metrics" in found else {"metrics": found}
            elif found is not None:
                problems.append(f"{_label(artefact, file)} is no JSON object of numbers")
    histories = [_json(f, a, problems) for a in facts.artefacts for f in _named(a, "history.json")]
    schemas = [_json(f, a, problems) for a in facts.artefacts for f in _named(a, "schema.json")]
    return Contents(
        judged=judged,
        history=next((found for found in histories if found), None),
        schema=next((found for found in schemas if isinstance(found, dict)), {}),
        pictures=_pictures(facts, bool(histories), problems),
        problems=problems,
    )


def _named(artefact: Artefact, name: str, or_kind: str = "") -> Iterator[Path]:
    """The artefact's file of that name at its top, or the artefact where it is a file itself."""
    if artefact.path is None or artefact.files is None:
        return
    if name in artefact.files:
        yield artefact.path / name
    elif artefact.path.is_file() and (
        artefact.path.name == name or (or_kind and artefact.kind == or_kind)
    ):
        yield artefact.path


def _json(file: Path, artefact: Artefact, problems: list[str]) -> Any:
    try:
        if file.stat().st_size > _JSON_BYTES:
            problems.append(f"{_label(artefact, file)} is too large to show")
            return None
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        problems.append(f"{_label(artefact, file)} cannot be read: {error}")
        return None


def _pictures(facts: Facts, drawn: bool, problems: list[str]) -> list[Picture]:
    found: list[Picture] = []
    seen: set[object] = set()
    left = _PICTURE_BYTES
    for artefact, name in sorted(_picture_files(facts), key=_order):
        path, files = artefact.path, artefact.files
        assert path is not None  # noqa: S101  it has files
        assert files is not None  # noqa: S101
        size, digest = files[name]
        file = path if name == "." else path / name
        if digest in seen or (drawn and file.stem in _DRAWN):
            continue
        seen.add(digest)
        if not isinstance(size, int) or size > left:
            problems.append(f"{_label(artefact, file)} is left out: the report would grow too big")
            continue
        try:
            content = file.read_bytes()
        except OSError as error:
            problems.append(f"{_label(artefact, file)} cannot be read: {error}")
            continue
        kind, width, height = _kind(content)
        if not kind:
            problems.append(f"{_label(artefact, file)} is no whole picture")
            continue
        left -= len(content)
        uri = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
        found.append(Picture(file.stem, artefact.step, uri, width, height))
    return found


def _picture_files(facts: Facts) -> Iterator[tuple[Artefact, str]]:
    for artefact in facts.artefacts:
        for name in artefact.files or ():
            file = artefact.path.name if name == "." and artefact.path else name
            if PurePosixPath(file).suffix.lower() in (".png", ".jpg", ".jpeg", ".gif", ".webp"):
                yield artefact, name


def _order(found: tuple[Artefact, str]) -> tuple[int, str]:
    stem = PurePosixPath(found[1]).stem
    return (_FIRST.index(stem) if stem in _FIRST else len(_FIRST), found[1])


def _kind(content: bytes) -> tuple[str, int, int]:
    """Format, width and height of a picture by its own first bytes; no format where it is none."""
    if content.startswith(b"\x89PNG\r\n\x1a\n") and content[-8:-4] == b"IEND":
        return "png", int.from_bytes(content[16:20]), int.from_bytes(content[20:24])
    if content.startswith(b"\xff\xd8\xff") and content.rstrip(b"\0").endswith(b"\xff\xd9"):
        return "jpeg", 0, 0
    if content.startswith((b"GIF87a", b"GIF89a")) and content.endswith(b";"):
        size = content[6:10]
        return "gif", int.from_bytes(size[:2], "little"), int.from_bytes(size[2:], "little")
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "webp", 0, 0
    return "", 0, 0


def _label(artefact: Artefact, file: Path) -> str:
    path = artefact.path or file
    inner = file.relative_to(path).as_posix() if file != path else ""
    name = f"{artefact.name}/{inner}" if inner else artefact.name
    return f"{name} of {artefact.step}"
