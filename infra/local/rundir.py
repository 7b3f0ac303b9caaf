"""The directory of one run, and the only file that knows its layout.

runs/RUN_ID/
    request.json         what was asked for
    events.jsonl         every state that the run and its steps entered, and when, appended
    lock                 held, with its pid inside, by the process that drives the run
    steps/STEP/
        ATTEMPT.log      what the step printed
        work/            an attempt's outputs until it has ended well; never trusted
        result/          sealed outputs of a step that is not cached
        outputs          link to the outputs, wherever they lie
        ingredients.json what went into the cache key: ``why`` compares these
        checkpoints/     outlive a retry and a restart
        alive            held by the step's processes; ``failure.json`` says why it failed
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from infra import cache
from infra.cache import Entry
from infra.errors import InputError
from infra.history import moment
from infra.plan import FINAL, Event, Json, RunRef, Status
from infra.redaction import redacted
from infra.storage import append_line, inside, write_whole

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Never jumps, as the time of day does, and goes on while a laptop sleeps."""

_OF_AN_EVENT = set(Event._fields) - {"error"}
"""What a line has at the least: those of older versions name no error."""
_GONE = "the process of this run is gone; give the same command again to finish it"

_PATIENCE = 200
"""Milliseconds for what another process is in the middle of."""


class StepDirectory:
    """Where one step of a run keeps what it needs."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.work = root / "work"
        self.result = root / "result"
        self.outputs = root / "outputs"
        self.alive = root / "alive"
        self.failure = root / "failure.json"
        self.ingredients = root / "ingredients.json"

    def log(self, attempt: int) -> Path:
        """The log of one attempt, numbered from 1 over all restarts of the run."""
        return self.root / f"{attempt}.log"

    def attempts(self) -> list[int]:
        """Numbers of the attempts there were."""
        return sorted(int(log.stem) for log in self.root.glob("*.log"))

    def running(self) -> bool:
        """Whether a process of it is there, as one is that outlived its run."""
        try:
            with self.alive.open(encoding="utf-8") as alive:
                fcntl.flock(alive, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def link(self, entry: Entry) -> None:
        """Let ``outputs`` point at what the step left, wherever that lies."""
        self.outputs.unlink(missing_ok=True)
        target = os.path.relpath(entry.directory, self.root)
        self.outputs.symlink_to(target, target_is_directory=True)

    def ingredients_used(self) -> dict[str, Json]:
        """What went into the cache key; empty where the step was never reached."""
        try:
            found: dict[str, Json] = json.loads(self.ingredients.read_text(encoding="utf-8"))
            return found
        except (OSError, ValueError):
            return {}

    def entry(self) -> Entry | None:
        """What the step left, if it has ended well and can still be read."""
        try:
            return cache.read(self.outputs) if self.outputs.exists() else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None


class RunDirectory:
    """Where one run keeps what it needs."""

    def __init__(self, workspace: Path, run_id: str) -> None:
        """Raises InputError on a run that cannot be called so."""
        self.run = RunRef("local", run_id)
        self.root = inside(workspace / "runs", run_id)
        self._events = self.root / "events.jsonl"
        self._lock: IO[str] | None = None
        self._offset = 0.0

    def exists(self) -> bool:
        """Whether there is such a run."""
        return self._events.exists()

    def step(self, name: str) -> StepDirectory:
        """The directory of one step. Raises InputError on a step that cannot be called so."""
        return StepDirectory(inside(self.root / "steps", name))

    def acquire(self) -> bool:
        """Become the process that drives the run; False while another one does."""
        self.root.mkdir(parents=True, exist_ok=True)
        lock = (self.root / "lock").open("a+", encoding="utf-8")
        if not _taken(lock):
            lock.close()
            return False
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock
        self._offset = time.time() - time.clock_gettime(_CLOCK)
        self._events.touch()
        return True

    def release(self) -> None:
        """Let go of the run."""
        if self._lock is not None:
            self._lock.close()
        self._lock = None

    def driver(self) -> int | None:
        """Pid of the process that drives the run now, if one does.

        One that has only just taken the lock is waited for until it has written its pid.
        """
        for _ in range(_PATIENCE):
            try:
                with (self.root / "lock").open(encoding="utf-8") as lock:
                    fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                    return None
            except FileNotFoundError:
                return None
            except BlockingIOError:
                pid = int((self.root / "lock").read_text(encoding="utf-8") or 0)
            if pid and _lives(pid):  # else it is that of the driver before
                return pid
            time.sleep(0.001)
        return None

    def record(self, event: Event, **extra: Json) -> None:
        """Append one event, with the time of day as it was when the run began, and gone on."""
        if self._lock is None:
            raise RuntimeError("only the process that drives a run records its events")
        line = {**event._asdict(), "at": round(self._now(), 3), **extra}
        append_line(self._events, json.dumps(line))

    def _now(self) -> float:
        return self._offset + time.clock_gettime(_CLOCK)

    def lines(self) -> Iterator[dict[str, Json]]:
        """The events as they were recorded; a line cut off by a crash is passed over."""
        try:
            text = self._events.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return
        for line in text.splitlines():
            try:
                found = json.loads(line)
            except ValueError:
                continue
            if isinstance(found, dict) and found.keys() >= _OF_AN_EVENT:
                yield found

    def events(self) -> Iterator[Event]:
        """The events, oldest first."""
        for line in self.lines():
            yield moment(line).event

    def status(self) -> Status:
        """Fold the events. Raises InputError where there is no such run."""
        if not self.exists():
            raise InputError(
                f"there is no run {self.run.run_id} here; see: python -m pipelines list"
            )
        steps: dict[str, Event] = {}
        whole = Event("", "waiting")
        for event in self.events():
            if event.step:
                steps[event.step] = event
            else:
                whole = event
        if whole.state in FINAL or self.driver() is not None:
            return Status(self.run, whole.state, steps, whole.message)
        left = {name: self._left(event) for name, event in steps.items()}
        return Status(self.run, "cancelled", left, _GONE)

    def _left(self, event: Event) -> Event:
        """What is to be said of a step when the process of its run is gone."""
        if event.state in FINAL:
            return event
        words = "its run was killed"
        if self.step(event.step).running():
            words += ", it goes on by itself; to end it: python -m pipelines cancel"
        return event._replace(state="cancelled", message=words, code=1)

    def planned(self) -> dict[str, bool]:
        """Whether each step of the plan may be cached; empty where the plan cannot be read."""
        try:
            plan: Any = self.request()["plan"]
            return {each["name"]: each["cache"] for each in plan["steps"]}
        except (OSError, ValueError, LookupError, TypeError):
            return {}

    def write_request(self, body: Mapping[str, Json]) -> None:
        """Keep what was asked for, but for secrets, for ``report`` and for people."""
        write_whole(self.root / "request.json", json.dumps(redacted(dict(body))))

    def request(self) -> dict[str, Json]:
        """What was asked for."""
        found: dict[str, Json] = json.loads((self.root / "request.json").read_text("utf-8"))
        return found


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it is another person's
    return True


def _taken(lock: IO[str]) -> bool:
    """Take the lock, unless a driver holds it: one that only looks lets go in a moment."""
    for _ in range(_PATIENCE):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            pass
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        fcntl.flock(lock, fcntl.LOCK_UN)
        time.sleep(0.001)
    return False


def run_ids(workspace: Path) -> list[str]:
    """The runs of a workspace, newest first."""
    logs = (workspace / "runs").glob("*/events.jsonl")
    return [log.parent.name for log in sorted(logs, key=lambda log: -log.stat().st_mtime_ns)]
