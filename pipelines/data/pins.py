"""Pins: the .dvc files that say what data must be, and data held against them.

A pin is PATH.dvc beside the data; for a name, data/NAME.dvc or data/NAME.*.dvc.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from infra.errors import InputError, nearest
from pipelines.data.md5 import md5_of
from training.sources import catalogue

DATA = Path("data")

_AS_DVC_WRITES = re.compile(
    r"outs:\n- md5: (?P<md5>[0-9a-f]{32}(?:\.dir)?)\n"
    r"(?:  (?:size|nfiles): \d+\n|  hash: md5\n)*  path: (?P<path>[\w.-]+)\n(?:  push: false\n)?"
)
_NAME = re.compile(r"\w[\w.-]*")


class Pin(NamedTuple):
    """What a .dvc file says: ``path`` has ``md5``."""

    md5: str
    file: Path
    path: Path

    @property
    def name(self) -> str:
        """What a person calls it: ``digits`` for data/digits.csv.gz.dvc."""
        return self.path.name.split(".")[0] or self.path.name


class Verified(NamedTuple):
    """A pin held against what lies at ``path``: ok, changed or missing."""

    pin: Pin
    path: Path
    state: str
    md5: str

    def words(self) -> str:
        """What is wrong and what to do; the MD5 where nothing is."""
        pin = self.pin
        if self.state == "missing":
            pull = f"python -m pipelines data pull {pin.path}"
            how = "make setup" if pin.name == catalogue.DIGITS else pull
            return f"{self.path} is not here: {how}"
        if self.state == "changed":
            what = catalogue.DIGITS if pin.name == catalogue.DIGITS else pin.path
            return (
                f"{self.path} has md5 {self.md5}, but {pin.file} pins {pin.md5}: pin it anew with "
                f"python -m pipelines data add {what}"
            )
        return self.md5


def pin_of(data: str) -> Pin | None:
    """The pin of a path or name; None where there is none. Raises InputError at a broken one."""
    beside = Path(f"{data.rstrip('/')}.dvc")
    if beside.is_file():
        return _read(beside)
    if not _NAME.fullmatch(data) or not DATA.is_dir():
        return None
    named = re.compile(rf"{re.escape(data)}(\..+)?\.dvc")
    found = sorted(file for file in DATA.iterdir() if named.fullmatch(file.name))
    exact = [file for file in found if file.name == f"{data}.dvc"] or found
    if len(exact) > 1:
        files = ", ".join(str(file) for file in exact)
        raise InputError(f"{data} may mean {files}; give the path of the data")
    return _read(exact[0]) if exact else None


def verified(name: str = "") -> list[Verified]:
    """Hold every pin in data/, or one by name or path, against what is here. Raises InputError."""
    if not name:
        files = sorted(DATA.glob("*.dvc")) if DATA.is_dir() else []
        return [_verified(_read(file)) for file in files]
    pin = pin_of(name.removesuffix(".dvc"))
    if pin is None:
        known = sorted(file.name.split(".")[0] for file in DATA.glob("*.dvc"))
        hint = nearest(name, known, "there is ") if known else "nothing is pinned"
        raise InputError(f"there is no pin of {name}; {hint}")
    return [_verified(pin)]


def _read(file: Path) -> Pin:
    return parse(file.read_text(encoding="utf-8", errors="replace"), file)


def parse(text: str, file: Path) -> Pin:
    """The pin that a .dvc file of this text is. Raises InputError where it is none."""
    if match := _AS_DVC_WRITES.fullmatch(text):  # spares the import of yaml
        return Pin(match["md5"], file, file.parent / match["path"])
    import yaml

    try:
        # strings and no other objects, as a file may be called yes
        content = yaml.load(text, yaml.CBaseLoader)  # noqa: S506
        (out,) = content["outs"]
        return Pin(out["md5"], file, file.parent / content.get("wdir", "") / out["path"])
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError):
        raise InputError(
            f"{file} does not pin one path by its md5; restore it from git, or remove it and pin "
            f"the data anew: python -m pipelines data add {str(file).removesuffix('.dvc')}"
        ) from None


def _verified(pin: Pin) -> Verified:
    path = pin.path
    if pin.name == catalogue.DIGITS:
        path = catalogue.digits() or path  # what a run reads: they come with scikit-learn
    if not path.exists():
        return Verified(pin, path, "missing", "")
    md5 = md5_of(path)
    return Verified(pin, path, "ok" if md5 == pin.md5 else "changed", md5)
