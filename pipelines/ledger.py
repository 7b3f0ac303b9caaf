"""The ledger: one JSON line for each intent, submission and end of a run, only ever appended.

From it a run gets its name: the same plan again means the next attempt once the last one
succeeded, and the same attempt, resumed or joined, until then. A run that an event started is
called by that event instead, and counts as no attempt.
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
    """One line. ``state`` is how the run ended, empty before.

    ``event`` is the key of the event that started it, ``cause`` what that was; empty where a
    person did. ``scenario`` is what is to go wrong in a rehearsal.
    """

    step: Step
    run_id: str
    provider: str
    plan: str
    attempt: int
    state: State | Literal[""] = ""
    at: float = 0.0
    event: str = ""
    cause: str = ""
    scenario: str = ""


class Ledger:
    """The ledger of one workspace."""

    def __init__(self, workspace: Path) -> None:
        self._file = workspace / "ledger.jsonl"

    def attempt(self, pipeline: str, plan: str, provider: str, scenario: str = "") -> int:
        """Number of the attempt, from 1, that sending the plan of this digest makes or joins.

        A run that lies in the workspace and that no line tells of is not written over. A rehearsal
        in which something is to go wrong joins none of another ``scenario``: it would go wrong
        as there, or no more.
        """
        known = [
            line for line in self.lines(containing=plan) if line.plan == plan and not line.event
        ]
        last = next((line for line in reversed(known) if line.provider == provider), None)
        if last is not None:
            apart = scenario not in ("", last.scenario)
            return last.attempt + 1 if last.state == "succeeded" or apart else last.attempt
        told, number = {line.run_id for line in known}, 1
        while (run := run_id(pipeline, plan, number)) not in told and self._lies_here(run):
            number += 1
        return number

    def _lies_here(self, run: str) -> bool:
        return (self._file.parent / "runs" / run).exists()

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
        damaged: list[int] = []
        for number, raw in enumerate(text.splitlines(), 1):
            if containing not in raw:
                if not (raw.startswith("{") and raw.endswith("}")):  # a look, cheaper than parsing
                    damaged.append(number)
                continue
            try:
                yield Line(**json.loads(raw))
            except (ValueError, TypeError):
                damaged.append(number)
        if damaged:
            lines = f"line{'s' * (len(damaged) > 1)} {', '.join(map(str, damaged[:5]))}"
            more = f" and {len(damaged) - 5} more" if len(damaged) > 5 else ""
            print(f"note: {self._file}, {lines}{more} damaged; left out", file=sys.stderr)


def run_id(pipeline: str, digest: str, attempt: int | str) -> str:
    """A name that tells the pipeline, the plan and the attempt, the same wherever it runs.

    Instead of an attempt it may have the key of an event: ``push-0123456789ab``.
    """
    return f"{pipeline}-{digest[:8]}-{attempt}"
