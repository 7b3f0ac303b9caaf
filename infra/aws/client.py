"""The verbs for SageMaker. A run lives in the account, and what is kept of it in its bucket.

Whoever looks at a run whose steps have ended starts its exit handlers, if nobody did.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from infra.aws import AwsSettings, following, handlers, sending
from infra.aws import logs as log
from infra.aws.looking import Look, Looker, Task, kept
from infra.aws.outputs import Outputs
from infra.aws.reaping import left, reap
from infra.aws.records import Attempt, Records, encrypted
from infra.aws.session import Aws, connected
from infra.aws.stopping import stop
from infra.errors import InputError
from infra.plan import DONE, FINAL, Event, Json, LogLine, Plan, Request, RunRef, Status
from infra.provider import Context

if TYPE_CHECKING:
    from infra.history import History

__all__ = [
    "cancel", "follow", "history", "left", "list_runs", "logs", "outputs", "reap", "status",
    "submit", "why",
]  # fmt: skip
_READ_AGAIN = 1.0
"""Seconds between two looks at a log that is followed."""


def submit(request: Request, settings: AwsSettings, _context: Context) -> RunRef:
    """Start the run; attach to it where it goes on, or has succeeded.

    A pipeline that failed goes on where it did, if it is still the same. Raises InputError with
    every fault that SageMaker would find, before anything is sent.
    """
    sending.check(request)
    sending.send(connected(settings.region), request, settings)
    return RunRef("aws", request.run_id)


def follow(run: RunRef, settings: AwsSettings) -> Iterator[Event]:
    """Watch the run to its end, exit handlers among it."""
    watched = _Watched(run, settings)

    def tail(_: str, task: Task) -> list[str]:
        return log.tail(watched.aws, task)

    return following.follow(watched.look, tail, settings.poll)


def status(run: RunRef, settings: AwsSettings) -> Status:
    """Where the run stands. Raises InputError on an unknown run."""
    found = _Watched(run, settings).look()
    steps = {name: task.event(name) for name, task in found.tasks.items()}
    return Status(run, found.state, steps, found.words)


def logs(run: RunRef, settings: AwsSettings, step: str, follow: bool) -> Iterator[LogLine]:
    """What the steps printed, step after step; with ``follow`` until the run has ended.

    Raises InputError on an unknown run or step.
    """
    watched = _Watched(run, settings)
    _require(watched.plan, run, step)
    reader = log.Reader(watched.aws)
    while True:
        found = watched.look()
        for name, task in found.tasks.items():
            if step in ("", name):
                yield from (LogLine(name, line) for line in reader.lines(task))
        if found.state in FINAL or not follow:
            return
        time.sleep(min(_READ_AGAIN, settings.poll))


def outputs(run: RunRef, settings: AwsSettings) -> dict[str, dict[str, Json]]:
    """By step: each output parameter's value, and each artefact's path, or else its URI.

    What is not too large is brought into the workspace.
    """
    watched = _Watched(run, settings)
    found = Outputs(watched.aws, settings, run.run_id)
    return {
        name: found.of(watched.plan.step(name), task)
        for name, task in watched.look().tasks.items()
        if task.state in DONE
    }


def history(run: RunRef, settings: AwsSettings) -> History:
    """The plan, and when each event was. Raises InputError on an unknown run."""
    from infra.history import History, Moment

    watched = _Watched(run, settings)
    found, plan = watched.look(), watched.plan
    moments = [Moment(Event("", "running"), found.began or None)]
    for name, task in found.tasks.items():
        if task.began:
            commit = plan.step(name).env.get("TREFOIL_GIT_COMMIT", "")
            moments.append(Moment(Event(name, "running"), task.began, commit=commit))
        if task.state in FINAL:
            moments.append(Moment(task.event(name), task.ended or task.began or None))
    if found.state in FINAL:
        moments.append(Moment(found.event(), found.ended or None))
    return History(plan, tuple(sorted(moments, key=lambda each: each.at or 0.0)))


def why(run: RunRef, settings: AwsSettings, step: str) -> list[str]:
    """Why a step ran, or did not. Raises InputError on an unknown run or step."""
    watched = _Watched(run, settings)
    _require(watched.plan, run, step)
    task = watched.look().tasks.get(step)
    if task is None or task.state == "waiting":
        return [f"{step} has not run"]
    if task.state == "skipped":
        return [f"{step} was skipped: {task.words}"]
    return [f"{step} ran as it does in every run: on SageMaker nothing is taken from a cache"]


def cancel(run: RunRef, settings: AwsSettings) -> bool:
    """Ask SageMaker to end the run; safe to repeat. False when it had ended already."""
    watched = _Watched(run, settings)
    found = watched.look()
    if found.state in FINAL:
        return False
    if found.state == "waiting":  # of a command that was killed before anything began
        watched.end(Look("cancelled", "cancelled", {}, words="ended before it began"))
        return True
    stop(watched.aws, found)
    return True


def list_runs(settings: AwsSettings) -> list[RunRef]:
    """The runs that the bucket knows, newest first."""
    records = Records(connected(settings.region), settings)
    return [RunRef("aws", run_id) for run_id in records.runs()]


class _Watched:
    """The newest attempt at a run, looked at as often as one likes."""

    def __init__(self, run: RunRef, settings: AwsSettings) -> None:
        """Raises InputError where there is no such run."""
        self.aws: Aws = connected(settings.region)
        self._records = Records(self.aws, settings)
        self._attempt: Attempt = self._records.require(run)
        self._looker = Looker(self.aws, self._attempt)
        self._encrypted = encrypted(settings)

    @property
    def plan(self) -> Plan:
        return self._looker.plan

    def look(self) -> Look:
        """How it stands; starts exit handlers that are due, and keeps how it ended."""
        if self._attempt.ended:
            return kept(self._attempt.ended)
        found = self._looker.look()
        handlers.send(self.aws, self._attempt, found, self._encrypted)
        if found.state in FINAL:
            self.end(found)
        return found

    def end(self, found: Look) -> None:
        """Keep how it ended."""
        self._attempt = self._records.note(self._attempt, "ended", found.data())


def _require(plan: Plan, run: RunRef, step: str) -> None:
    names = [each.name for each in plan.steps]
    if step and step not in names:
        raise InputError(f"run {run.run_id} has no step {step}; it has {', '.join(names)}")
