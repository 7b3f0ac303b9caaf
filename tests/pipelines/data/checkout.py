"""What lies in a checkout: data, pins, and the verb that is called there."""

from __future__ import annotations

from pathlib import Path

from pipelines import __main__ as verbs

ROOT = Path(__file__).parents[3]
PIN = "outs:\n- md5: {md5}\n  size: 1\n  hash: md5\n  path: {path}\n"


def folder(place: Path, *names: str) -> Path:
    for name in names or ("a.txt", "more/b.txt"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(f"{name}\n")
    return place


def pin(file: Path, path: str, md5: str) -> Path:
    file.write_text(PIN.format(md5=md5, path=path))
    return file


def verb(*words: str) -> int:
    return verbs.main(["data", *words])
