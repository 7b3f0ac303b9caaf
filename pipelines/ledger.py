"""The ledger: one JSON line for each intent, submission and end of a run, only ever appended.

From it a run gets its name: the same plan again means the next attempt once the last one
succeeded, and the same attempt, resumed or joined, until then.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from infra.plan import State
from infra.storage import append_line

Step = Literal["intent", "submitted", "finished"]


class Line(NamedTuple):
    """One line. ``state`` is how the run ended, empty before."""

    step: Step
    run_id: str
    provider: str
    plan: str
    attempt: int
    state: State | Literal[""] = ""
    at: float = 0.0


class Ledger:
    """The ledger of one workspace."""

    def __init__(self, workspace: Path) -> None:
        self._file = workspace / "ledger.jsonl"

    def attempt(self, plan: str, provider: str) -> int:
        """Number of the attempt, from 1, that sending the plan of this digest makes or joins."""
        last: Line | None = None
        for line in self.lines(containing=plan):
            if line.plan == plan and line.provider == provider:
                last = line
        if last is None:
            return 1
        return last.attempt + 1 if last.state == "succeeded" else last.attempt

    def append(self, line: Line) -> None:
        """Append a line. Raises OSError."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        append_line(self._file, json.dumps(line._asdict() | {"at": time.time()}))

    def lines(self, containing: str = "") -> Iterator[Line]:
        """The lines, oldest first; a damaged one is passed over and named on stderr."""
        try:
            text = self._file.read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, NotADirectoryError):
            return
        for number, raw in enumerate(text.splitlines(), 1):
            if containing in raw:
                try:
                    yield Line(**json.loads(raw))
                except (ValueError, TypeError):
                    print(
                        f"note: {self._file}, line {number} is damaged; left out", file=sys.stderr
                    )


def run_id(pipeline: str, digest: str, attempt: int) -> str:
    """A name that tells the pipeline, the plan and the attempt, the same wherever it runs."""
    return f"{pipeline}-{digest[:8]}-{attempt}"
