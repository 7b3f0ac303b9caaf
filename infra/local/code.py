"""The digest of a step's code: its part of the cache key, and what ``why`` names when it changed.

``python -m package.module`` means that file and every file of the project that it imports,
directly or not; ``python file.py`` likewise; any other file named on the command line means itself.
Where a file imports by name at run time (importlib), all that the name may be counts: the package
that the source names (``f"training.models.{name}"``), else the whole top-level package it is in.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict

from infra.storage import write_whole

_PYTHON = re.compile(r"python(3(\.\d+)?)?")
_MODULES = (".py", ".pyc", ".pyi")
_STARTS = ("-m", "-c", "-")
_SHELLS = ("sh", "bash", "dash")
_FORMAT = 2
"""Of what is remembered; what was remembered by other rules is read anew."""


class _Fact(TypedDict):
    """What is remembered of a source file until its stat changes."""

    stat: list[int]
    digest: str
    modules: list[str]
    packages: list[str]


_SHAPE: dict[str, type] = {"stat": list, "digest": str, "modules": list, "packages": list}


@functools.cache
def environment() -> str:
    """Digest of the interpreter's version and of every distribution installed beside it."""
    names = [sys.version]
    for place in sys.path:
        if place.endswith("site-packages") and os.path.isdir(place):  # noqa: PTH112
            found = os.listdir(place)  # noqa: PTH208
            names += sorted(name for name in found if name.endswith(".dist-info"))
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


class Sources:
    """Digests of a project's code, remembered between runs by each file's stat."""

    def __init__(self, root: Path, memory: Path) -> None:
        self._root, self._memory = root, memory
        self._changed = False
        self._facts = _remembered(memory)

    def of(self, command: list[str]) -> dict[str, str]:
        """Map each file that ``command`` runs to its SHA-256, by its path in the project."""
        files: set[Path] = set()
        if command and _PYTHON.fullmatch(Path(command[0]).name):
            files.update(self._program(command[1:]))
        if command[1:2] == ["-c"] and Path(command[0]).name in _SHELLS and len(command) > 2:
            for line in re.split(r"[;&|\n]+", command[2]):
                files.update(self._shell(line))
        files.update(self._named(command))
        return {self._label(file): self._fact(file)["digest"] for file in sorted(files)}

    def remember(self) -> None:
        """Save what was learnt, if anything was."""
        if self._changed:
            with contextlib.suppress(OSError):  # without it the next run only reads them again
                write_whole(self._memory, json.dumps(self._facts))
            self._changed = False

    def _label(self, file: Path) -> str:
        inside = file.is_relative_to(self._root)
        return file.relative_to(self._root).as_posix() if inside else str(file)

    def _named(self, command: list[str]) -> Iterator[Path]:
        for word in command:
            if os.path.isfile(word):  # noqa: PTH113  false, not an error, for a word too long
                yield self._root / word

    def _shell(self, line: str) -> set[Path]:
        """The files of one simple command in a shell's line."""
        import shlex

        try:
            words = shlex.split(line)
        except ValueError:
            return set()
        while words and (words[0] == "exec" or re.fullmatch(r"\w+=.*", words[0])):
            words.pop(0)
        found = set(self._named(words))
        if words and _PYTHON.fullmatch(Path(words[0]).name):
            found |= self._program(words[1:])
        return found

    def _program(self, arguments: list[str]) -> set[Path]:
        arguments = _without_options(arguments)
        if arguments[:1] == ["-m"] and len(arguments) > 1:
            start = _chain(self._root, arguments[1])
            start += _chain(self._root, f"{arguments[1]}.__main__")
            return self._closure(start, self._root)
        if arguments and arguments[0].endswith(".py") and (self._root / arguments[0]).is_file():
            script = self._root / arguments[0]
            return self._closure([script], script.parent)
        return set()

    def _closure(self, start: list[Path], root: Path) -> set[Path]:
        found: set[Path] = set()
        waiting = list(start)
        while waiting:
            file = waiting.pop()
            if file in found:
                continue
            found.add(file)
            fact = self._fact(file)
            for name in fact["modules"]:
                waiting += _chain(root, _absolute(name, file, root))
            for package in fact["packages"]:
                waiting += _package(root, package or file.relative_to(root).parts[0])
        return found | {
            data for folder in {file.parent for file in found} for data in _data(folder)
        }

    def _fact(self, file: Path) -> _Fact:
        found = file.stat()
        stat = [_FORMAT, found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino]
        fact = self._facts.get(str(file))
        if fact is None or fact["stat"] != stat:
            from infra.local import imports  # it loads ast, and most runs remember every file

            content = file.read_bytes()
            modules, packages = imports.read(content if file.suffix == ".py" else b"")
            digest = hashlib.sha256(content).hexdigest()
            fact = _Fact(stat=stat, digest=digest, modules=modules, packages=packages)
            self._facts[str(file)] = fact
            self._changed = True
        return fact


def _remembered(memory: Path) -> dict[str, _Fact]:
    """The facts that are whole; where the file is not, they are read anew."""
    try:
        found = json.loads(memory.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    facts = found.items() if isinstance(found, dict) else ()
    return {file: fact for file, fact in facts if _is_fact(fact)}


def _is_fact(found: object) -> bool:
    return isinstance(found, dict) and all(
        isinstance(found.get(name), kind) for name, kind in _SHAPE.items()
    )


def _without_options(arguments: list[str]) -> list[str]:
    """What an interpreter is to run: its own options, with the values of -W and -X, left out."""
    at = 0
    while at < len(arguments) and arguments[at].startswith("-") and arguments[at] not in _STARTS:
        at += 2 if arguments[at] in ("-W", "-X") else 1
    return arguments[at:]


def _absolute(name: str, file: Path, root: Path) -> str:
    level = len(name) - len(name.lstrip("."))
    if not level or not file.is_relative_to(root):
        return name
    package = file.relative_to(root).parts[: -max(level, 1)]
    return ".".join([*package, name.lstrip(".")])


def _chain(root: Path, module: str) -> list[Path]:
    """The files that importing ``module`` runs: its packages', then its own."""
    parts = module.split(".")
    places = [root.joinpath(*parts[: depth + 1]) for depth in range(len(parts))]
    files = [(place / "__init__.py", place.with_name(f"{place.name}.py")) for place in places]
    return [file for pair in files for file in pair if file.is_file()]


def _data(folder: Path) -> list[Path]:
    """The files beside a module that are no modules: tables and weights that it may read."""
    if not (folder / "__init__.py").exists():
        return []
    return [each for each in folder.iterdir() if each.is_file() and each.suffix not in _MODULES]


def _package(root: Path, name: str) -> list[Path]:
    """Every file of a package of the project, data files too, and what importing it runs."""
    top = root.joinpath(*name.split("."))
    inside = top.rglob("*") if top.is_dir() else ()
    files = [each for each in inside if each.is_file() and "__pycache__" not in each.parts]
    return files + _chain(root, name)
