"""Watches a run to its end. kfp's own wait polls a cancelled run for ever, hence not that."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

from infra.kind import KindSettings
from infra.kind.pages import Pages
from infra.kind.server import Found, Server
from infra.kind.tasks import Task, run_state, seconds, tasks
from infra.plan import FINAL, Event, Plan, State

_PATIENCE = 300.0
"""Seconds that the server may be silent while a run is watched: it may be started anew."""
_TAIL = 15
"""How many of its last lines a failed step shows."""
_EXIT = re.compile(r"exit status (\d+)")
"""How KFP's launcher ends its log when the step's own program fails."""
_BAD_INPUT = 2
_Seen = tuple[State, int, str]


class Watch:
    """One run as it goes."""

    def __init__(self, server: Server, pages: Pages, plan: Plan, settings: KindSettings) -> None:
        self._server, self._pages, self._plan, self._settings = server, pages, plan, settings
        self._seen: dict[str, _Seen] = {}
        self._since: dict[str, float] = {}
        self._failed: list[Event] = []
        self._context: int | None = None

    def events(self, run_id: str) -> Iterator[Event]:
        """Each change, until the run has ended or a step could not be started in time."""
        yield Event("", "running")
        while True:
            run = self._server.get(run_id, _PATIENCE)
            known = self._tasks(run)
            for name, task in known.items():
                yield from self._news(name, task)
            if run_state(run) in FINAL:
                yield self._conclusion(run)
                return
            if late := self._late(known):
                self._server.terminate(run_id)
                yield from late
                return
            time.sleep(self._settings.poll)

    def _tasks(self, run: Found) -> dict[str, Task]:
        if self._context is None:
            self._context = self._server.metadata.context(run["run_id"])
        executions = self._server.metadata.executions(self._context) if self._context else []
        return tasks(self._plan, run, executions)

    def _news(self, name: str, task: Task) -> Iterator[Event]:
        """What a person has not heard of a step yet."""
        if task.state == "waiting":
            task = self._waiting(name, task)
            if not task.reason:
                return
        before, attempt = self._seen.get(name), len(task.failures) + 1
        now: _Seen = (task.state, attempt, task.reason)
        if now == before:
            return
        self._seen[name] = now
        if before is None and task.state in ("succeeded", "failed"):
            yield Event(name, "running", attempt=attempt)  # it was quicker than we look
        event = task.event(name)
        if task.state == "failed":
            event = self._failure(name, task, event)
            self._failed.append(event)
        elif attempt > 1 and task.state == "running":
            event = event._replace(message="trying again, the attempt before failed")
        yield event

    def _waiting(self, name: str, task: Task) -> Task:
        """Note since when a step waits for its pod, and ask what it waits for."""
        self._since.setdefault(name, time.monotonic())
        return task._replace(reason=self._pages.obstacle(task))

    def _late(self, known: dict[str, Task]) -> list[Event]:
        """The end of a run of which a step could not be started within the deadline."""
        limit = self._settings.start_deadline
        for name, task in known.items():
            waited = time.monotonic() - self._since.get(name, time.monotonic())
            if task.state == "waiting" and waited > limit:
                reason = self._pages.obstacle(task) or "Kubernetes does not say why"
                message = f"{name} did not start within {limit:g} s: {reason}; the run was ended"
                failed = Event(name, "failed", message=message, code=1)
                return [failed, Event("", "failed", message=message, code=1)]
        return []

    def _failure(self, name: str, task: Task, event: Event) -> Event:
        lines = self._pages.lines(task)
        said = next((found for line in reversed(lines) if (found := _EXIT.search(line))), None)
        code = int(said.group(1)) if said else 1
        words = self._pages.ending(task) or (
            f"ended with exit code {code}" if said else "failed, and left no log"
        )
        last = "".join(f"\n    {line}" for line in lines[-_TAIL:])
        tail = f"\n  its last lines:{last}" if last else ""
        return event._replace(
            message=f"{name} {words}{tail}", code=_BAD_INPUT if code == _BAD_INPUT else 1
        )

    def _conclusion(self, run: Found) -> Event:
        state = run_state(run)
        took = seconds(run.get("finished_at")) - seconds(run.get("created_at"))
        if state == "failed":
            first = self._failed[0] if self._failed else Event("", "failed", code=1)
            told = (run.get("error") or {}).get("message") or first.message
            words = told or "Kubeflow Pipelines gives no reason"
            return Event("", state, took, words, code=first.code)
        message = "ended on request" if state == "cancelled" else ""
        return Event("", state, max(took, 0.0), message)
