"""The folder that a launcher and the pods of its Job share, in a claim that all of them mount.

WORK/JOB/in/NUMBER/NAME     copies of the inputs
         out/NUMBER/NAME    what the pods write, which only the first of them does
         checkpoints/       outlive the pods, and an attempt that failed
         alive              touched by the launcher for as long as it lives
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from infra.kind.job_manifests import WORK
from infra.storage import remove

_HERE = "TREFOIL_WORK"
"""Where a rehearsal has the claim."""


class Shared:
    """One Job's part of it."""

    def __init__(self, job: str, reads: Sequence[Path], writes: Sequence[Path]) -> None:
        self._root = Path(os.environ.get(_HERE) or WORK) / job
        self._seen = f"{WORK}/{job}"
        self._reads = {each: f"in/{number}/{each.name}" for number, each in enumerate(reads)}
        self._writes = {each: f"out/{number}/{each.name}" for number, each in enumerate(writes)}

    def bring_in(self) -> None:
        """Copy the inputs; leave nothing that an earlier attempt wrote, but its checkpoints."""
        for part in ("in", "out"):
            remove(self._root / part)
        (self._root / "checkpoints").mkdir(parents=True, exist_ok=True)
        for place, below in self._reads.items():
            _copy(place, self._root / below)
        for below in self._writes.values():
            (self._root / below).parent.mkdir(parents=True)
        self.show()

    def show(self) -> None:
        """Show the pods that somebody still waits for them."""
        (self._root / "alive").touch()

    def bring_out(self) -> None:
        """Put the outputs where they are wanted, and remove the folder."""
        for place, below in self._writes.items():
            if (self._root / below).exists():  # else whoever wants it says so
                _copy(self._root / below, place)
        remove(self._root)

    def seen(self, words: Sequence[str]) -> list[str]:
        """A command with its files where the pods see them."""
        moved = {str(place): below for place, below in (self._reads | self._writes).items()}
        longest = sorted(moved, key=len, reverse=True)  # one may be the beginning of another
        return [self._moved(word, longest, moved) for word in words]

    def variable(self) -> dict[str, str]:
        """Tells the pods where to keep checkpoints."""
        return {"name": "TREFOIL_CHECKPOINTS", "value": f"{self._seen}/checkpoints"}

    def _moved(self, word: str, longest: Sequence[str], moved: dict[str, str]) -> str:
        for place in longest:
            if place in word:
                return word.replace(place, f"{self._seen}/{moved[place]}")
        return word


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        shutil.copyfile(source, target)
