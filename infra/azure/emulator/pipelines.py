"""Runs one pipeline: each node a job of its own, as soon as those it takes from have ended well."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping
from typing import Any

from infra.azure.emulator.contract import Spec, of_node, parents
from infra.azure.emulator.drive import FINAL, Drive
from infra.azure.emulator.mounts import Unavailable
from infra.azure.emulator.world import World, now
from infra.rehearsal.store import Record

_POLL = 0.02
Child = Callable[[Record, str, Spec], Drive | None]


class Pipeline:
    """One pipeline under way."""

    def __init__(self, world: World, record: Record, child: Child) -> None:
        """``child`` begins the job of a node."""
        self._world, self._record, self._child = world, record, child
        self._nodes: Mapping[str, Any] = record["properties"]["jobs"]
        self._stop, self._halt, self._over = (threading.Event() for _ in range(3))
        self._drives: dict[str, Drive] = {}
        if record["status"] == "CancelRequested":
            self._stop.set()

    def stop(self) -> None:
        """End it for good, and all its jobs."""
        with self._world.store.lock:
            if self._record["status"] not in FINAL:
                self._enter("CancelRequested")
        self._stop.set()

    def halt(self) -> None:
        """Leave it where it stands, to go on later."""
        self._halt.set()

    def join(self) -> None:
        """Wait until it has ended, or is halted."""
        self._over.wait()

    def run(self) -> None:
        """All of it; never raises."""
        try:
            self._enter("Preparing")
            self._record["started"] = self._record["started"] or now()
            self._enter("Running")
            self._walk()
        except Exception as error:  # ours: a thread that died would hang the run
            self._end("Failed", f"{type(error).__name__}: {error}")
            raise
        finally:
            self._over.set()

    def _walk(self) -> None:
        while not self._halt.is_set():
            states = self._states()
            ready = [] if self._stop.is_set() or self._broken(states) else self._ready(states)
            for name in ready:
                self._start(name)
            if self._stop.is_set():
                for drive in self._drives.values():
                    drive.stop()
            going = [n for n, s in self._states().items() if s not in FINAL]
            if not ready and not going:
                self._conclude(self._states())
                return
            self._halt.wait(_POLL)

    def _conclude(self, states: Mapping[str, str]) -> None:
        failed = [name for name, state in states.items() if state != "Completed"]
        if self._stop.is_set():
            self._end("Canceled")
        elif failed:
            self._end("Failed", f"Pipeline has failed child jobs. Failed nodes: /{failed[0]}.")
        else:
            self._end("Completed")

    def _ready(self, states: Mapping[str, str]) -> list[str]:
        return [
            name
            for name, node in self._nodes.items()
            if name not in states and all(states.get(each) == "Completed" for each in parents(node))
        ]

    def _broken(self, states: Mapping[str, str]) -> bool:
        """Whether a failure ends the rest, as the pipeline's settings have it."""
        go_on = self._record["properties"].get("settings", {}).get("continue_on_step_failure", True)
        return not go_on and any(state in ("Failed", "Canceled") for state in states.values())

    def _start(self, name: str) -> None:
        try:
            spec = of_node(self._world, self._record["properties"], name)
        except Unavailable as error:
            self._end("Failed", str(error))
            self._stop.set()
            return
        if drive := self._child(self._record, name, spec):
            self._drives[name] = drive
        else:
            self._halt.set()

    def _states(self) -> dict[str, str]:
        """The state of each job of this pipeline."""
        return {
            each["step"]: each["status"]
            for each in self._world.store.of("jobs")
            if each["parent"] == self._record["name"]
            and (each["status"] in FINAL or each["step"] in self._drives)
        }

    def _enter(self, status: str) -> None:
        with self._world.store.lock:
            if self._record["status"] == "CancelRequested" and status not in FINAL:
                return
            self._record["status"] = status
            self._world.store.save("jobs", self._record)

    def _end(self, status: str, words: str = "") -> None:
        with self._world.store.lock, contextlib.suppress(OSError):
            if self._record["status"] in FINAL:
                return
            self._record["error"] = {"code": "UserError", "message": words} if words else None
            self._record["ended"] = now()
            self._enter(status)
