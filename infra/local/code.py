"""The digest of a step's code: its part of the cache key, and what ``why`` names when it changed.

``python -m package.module`` means that file and every file of the project that it imports,
directly or not; ``python file.py`` likewise; any other file named on the command line means itself.
Where a file imports by name at run time (importlib), which modules it takes cannot be read from
the source, so the whole of its package counts.
"""

from __future__ import annotations

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
_DYNAMIC = re.compile(r"\bimport_module\b|\b__import__\b")


class _Fact(TypedDict):
    """What is remembered of a source file until its stat changes."""

    stat: list[int]
    digest: str
    imports: list[str]
    dynamic: bool


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
        try:
            self._facts: dict[str, _Fact] = json.loads(memory.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            self._facts = {}

    def of(self, command: list[str]) -> dict[str, str]:
        """Map each file that ``command`` runs to its SHA-256, by its path in the project."""
        files: set[Path] = set()
        if command and _PYTHON.fullmatch(Path(command[0]).name):
            files.update(self._program(command[1:]))
        files.update(self._named(command))
        return {self._label(file): self._fact(file)["digest"] for file in sorted(files)}

    def remember(self) -> None:
        """Save what was learnt, if anything was."""
        if self._changed:
            write_whole(self._memory, json.dumps(self._facts))
            self._changed = False

    def _label(self, file: Path) -> str:
        inside = file.is_relative_to(self._root)
        return file.relative_to(self._root).as_posix() if inside else str(file)

    def _named(self, command: list[str]) -> Iterator[Path]:
        for word in command:
            if os.path.isfile(word):  # noqa: PTH113  false, not an error, for a word too long
                yield self._root / word

    def _program(self, arguments: list[str]) -> set[Path]:
        if arguments[:1] == ["-m"] and len(arguments) > 1:
            return self._closure(_chain(self._root, arguments[1]), self._root)
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
            waiting += self._imported(file, fact["imports"], root)
            if fact["dynamic"]:
                waiting += _package(file, root)
        return found

    def _imported(self, file: Path, names: list[str], root: Path) -> list[Path]:
        found = []
        for name in names:
            found += _chain(root, _absolute(name, file, root))
        return found

    def _fact(self, file: Path) -> _Fact:
        found = file.stat()
        stat = [found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino]
        fact = self._facts.get(str(file))
        if fact is None or fact["stat"] != stat:
            content = file.read_bytes()
            imports, dynamic = _read(content) if file.suffix == ".py" else ([], False)
            digest = hashlib.sha256(content).hexdigest()
            fact = _Fact(stat=stat, digest=digest, imports=imports, dynamic=dynamic)
            self._facts[str(file)] = fact
            self._changed = True
        return fact


def _read(content: bytes) -> tuple[list[str], bool]:
    """The modules that a source file imports, and whether it also imports by name at run time."""
    import ast

    try:
        text = content.decode()
        nodes = list(ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError):
        return [], False  # the step itself will tell
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            names.update(f"{base}.{alias.name}" for alias in node.names)
    return sorted(names), bool(_DYNAMIC.search(text))


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


def _package(file: Path, root: Path) -> list[Path]:
    """Every file of the top-level package that ``file`` is in, data files too."""
    top = root / file.relative_to(root).parts[0]
    if top.is_file():
        return []
    return [each for each in top.rglob("*") if each.is_file() and "__pycache__" not in each.parts]
