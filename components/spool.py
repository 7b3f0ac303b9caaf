"""The spool: a folder of JSON lines between a step that tells and the sender that delivers.

    STEP.jsonl     what a step told, all its attempts
    _run.jsonl     what holds for the whole run, and that it has ended
    files/         copies of what is to be sent, each in a folder of its own
    state.json     how far the sender has come
    deliver.log    what the sender has to say

A line is one of: open, params, tags, metrics, artifact, dataset, close; in _run.jsonl: run, ended,
finish. It is only ever appended to; a line that a crash cut off is closed by the next writer.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from infra.redaction import redacted, texts

RUN = "_run"
"""Stem of the file about the whole run; no step is called so."""
_UNWRITTEN = 16 * 2**20
"""Bytes kept in memory while the disk takes none."""
EVENT = re.compile(r"-((?:push|schedule|dispatch|drift)-[0-9a-f]{12})$")
"""How a run is called that an event started: it tells in every place, and MLflow, which one."""
LOST = "tracking.lost_lines"
"""Tag of a step that told more than the disk took."""


class Lines:
    """A file of lines, appended to. What the disk does not take now is written later."""

    def __init__(self, path: Path) -> None:
        """Open it. Raises OSError."""
        self._path = path
        self._handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        size = os.fstat(self._handle).st_size
        cut = size > 0 and os.pread(self._handle, 1, size - 1) != b"\n"
        self._unwritten = b"\n" if cut else b""
        self._lost = self._lost_told = 0
        self._said = set[str]()

    def write(self, lines: list[dict[str, Any]]) -> None:
        """Append. What a full disk costs is said once and tagged; it never stops the step."""
        self._flush()
        if lines and len(self._unwritten) >= _UNWRITTEN:
            self._lost += len(lines)
            self._say("lost", "too much waits for it, so what the step tells now is left out")
            return
        if self._lost > self._lost_told:
            lines = [{"tags": {LOST: str(self._lost)}}, *lines]
            self._lost_told = self._lost
        self._unwritten += "".join(f"{json.dumps(line)}\n" for line in lines).encode()
        self._flush()

    def close(self) -> None:
        """Let go of the file, and say what it did not take to the last."""
        self._flush()
        os.close(self._handle)
        waiting = self._unwritten.split(b"\n")
        if lost := self._lost + sum(1 for line in waiting if line):
            say(f"{self._path}: the disk took no more, and {lost} lines of tracking are lost")

    def _flush(self) -> None:
        try:
            while self._unwritten:
                written = os.write(self._handle, self._unwritten)
                self._unwritten = self._unwritten[written:]
        except OSError as error:
            self._say("waits", f"it cannot be written ({error.strerror}); the step goes on")

    def _say(self, what: str, words: str) -> None:
        if what not in self._said:
            say(f"{self._path}: {words}")
        self._said.add(what)


def append(path: Path, line: dict[str, Any]) -> None:
    """Append one line. Raises OSError where there is no such folder."""
    lines = Lines(path)
    try:
        lines.write([line])
    finally:
        lines.close()


def run_facts(
    run_id: str,
    environment: Mapping[str, str],
    alone: bool,
    parameters: Mapping[str, object] = MappingProxyType({}),
) -> dict[str, Any]:
    """What its sender must know of the run; that may be one started much later, for another run.

    ``alone``: the spool is of one step that started its own sender. ``into``: the MLflow run that
    an orchestrator made for this. ``flat``: that run, or one of its own, takes what the step tells.
    ``parameters`` are the pipeline's.
    """
    tags = {
        "trefoil.provider": environment.get("TREFOIL_PROVIDER", ""),
        "trefoil.plan_digest": environment.get("TREFOIL_PLAN_DIGEST", ""),
        "mlflow.source.git.commit": environment.get("TREFOIL_GIT_COMMIT", ""),
        "mlflow.user": environment.get("USER", ""),
        "trefoil.event": event_of(run_id),
    }
    into = environment.get("MLFLOW_RUN_ID", "")
    return {
        "id": run_id,
        "alone": alone,
        "into": into,
        "flat": alone and bool(into or not environment.get("TREFOIL_RUN_ID")),
        "experiment": environment.get("MLFLOW_EXPERIMENT_NAME", ""),
        "experiment_id": environment.get("MLFLOW_EXPERIMENT_ID", ""),
        "server": redacted(environment.get("MLFLOW_TRACKING_URI", "")),
        "tags": {name: redacted(value) for name, value in tags.items() if value},
        "params": texts(parameters),
    }


def event_of(run_id: str) -> str:
    """The key of the event that started a run; empty where a person did."""
    found = EVENT.search(run_id)
    return found[1] if found else ""


def now() -> int:
    """The time in milliseconds, as MLflow has it."""
    return time.time_ns() // 1_000_000


def say(text: str) -> None:
    """Tell a person, who reads the step's log."""
    print(f"note: {text}", file=sys.stderr, flush=True)
