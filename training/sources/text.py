"""A .txt file in UTF-8: one corpus, whose last tenth of characters is held out.

A row is a line with its line end; only where the cut falls within a line are there two of it. So
the rows of a part, joined, are that part of the corpus to the character.
"""

from __future__ import annotations

from pathlib import Path

from training.errors import InputError
from training.sources import split
from training.sources.examples import Examples, Texts


def read(file: Path) -> Examples:
    """Raises InputError naming the file and the line."""
    text = _decoded(file)
    cut = len(split.tail(len(text), str(file)).train)
    train, test = _lines(text[:cut]), _lines(text[cut:])
    rows = split.as_it_is(len(train), len(test))._replace(how="tail")
    return Examples(Texts(train + test), None, rows)


def _decoded(file: Path) -> str:
    raw = file.read_bytes()
    if not raw:
        raise InputError(f"{file} is empty")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{file}, line {line} is not UTF-8 (byte {error.start}); convert it, as with "
            f"iconv -t UTF-8"
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise InputError(f"{file}, line {line} holds a zero character; this is no text")
    if not text:
        raise InputError(f"{file} is empty")
    return text


def _lines(text: str) -> list[str]:
    lines = [line + "\n" for line in text.split("\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]
