"""The verbs for SageMaker. A run lives in the account, and what is kept of it in its bucket.

Whoever looks at a run whose steps have ended starts its exit handlers, if nobody did.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from infra.aws import AwsSettings, handlers, sending
from infra.aws import logs as log
from infra.aws.looking import Looker
from infra.aws.reaping import left, reap
from infra.aws.session import Aws, connected
from infra.aws.stopping import stop, stop_attempt
from infra.aws.store import S3
from infra.cloud import following, starting, telling
from infra.cloud.looking import Look, Task
from infra.cloud.outputs import Outputs
from infra.cloud.records import Attempt, Records
from infra.plan import FINAL, Event, Json, LogLine, Plan, Request, RunRef, Status
from infra.provider import Context

if TYPE_CHECKING:
    from infra.history import History

__all__ = [
    "cancel", "follow", "history", "left", "list_runs", "logs", "outputs", "reap", "status",
    "submit", "why",
]  # fmt: skip


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
    return telling.status(run, _Watched(run, settings).look())


def logs(run: RunRef, settings: AwsSettings, step: str, follow: bool) -> Iterator[LogLine]:
    """What the steps printed, step after step; with ``follow`` until the run has ended.

    Raises InputError on an unknown run or step.
    """
    watched = _Watched(run, settings)
    telling.require_step(watched.plan, run, step)
    reader = log.Reader(watched.aws)
    return telling.logs(watched.look, reader.lines, step, follow, settings.poll)


def outputs(run: RunRef, settings: AwsSettings) -> dict[str, dict[str, Json]]:
    """By step: each output parameter's value, and each artefact's path, or else its URI.

    What is not too large is brought into the workspace.
    """
    watched = _Watched(run, settings)
    found = Outputs(watched.store, settings.prefix, settings.workspace, run.run_id)
    return telling.outputs(watched.plan, watched.look(), found.of)


def history(run: RunRef, settings: AwsSettings) -> History:
    """The plan, and when each event was. Raises InputError on an unknown run."""
    watched = _Watched(run, settings)
    return telling.history(watched.plan, watched.look())


def why(run: RunRef, settings: AwsSettings, step: str) -> list[str]:
    """Why a step ran, or did not. Raises InputError on an unknown run or step."""
    watched = _Watched(run, settings)
    telling.require_step(watched.plan, run, step)
    return telling.why(watched.look(), step, "SageMaker")


def cancel(run: RunRef, settings: AwsSettings) -> bool:
    """Ask SageMaker to end the run; safe to repeat. False when it had ended already."""
    watched = _Watched(run, settings)
    found = watched.look()
    if found.state == "waiting" or watched.forestalled:
        watched.forestall()
        return found.state == "waiting"
    if found.state in FINAL:
        return False
    stop(watched.aws, found)
    return True


def list_runs(settings: AwsSettings) -> list[RunRef]:
    """The runs that the bucket knows, newest first."""
    records = Records(S3(connected(settings.region), settings), settings.prefix)
    return [RunRef("aws", run_id) for run_id in records.runs()]


class _Watched:
    """The newest attempt at a run, looked at as often as one likes."""

    def __init__(self, run: RunRef, settings: AwsSettings) -> None:
        """Raises InputError where there is no such run."""
        self.aws: Aws = connected(settings.region)
        self.store = S3(self.aws, settings)
        self._records = Records(self.store, settings.prefix)
        self._attempt: Attempt = self._records.require(run)
        self._looker = Looker(self.aws, self._attempt)

    @property
    def plan(self) -> Plan:
        return self._looker.plan

    @property
    def forestalled(self) -> bool:
        """Whether it was cancelled before it was known to begin."""
        return starting.forestalled(self._attempt)

    def forestall(self) -> None:
        """See to it that it never starts."""
        self._attempt = starting.forestall(
            self._records, self._attempt, lambda attempt: stop_attempt(self.aws, attempt)
        )

    def look(self) -> Look:
        """How it stands; starts exit handlers that are due, and keeps how it ended."""
        if self._attempt.ended:
            return self._attempt.end
        found = self._looker.look()
        if found.state == "waiting":  # or somebody has just started it, or cancelled it
            self._attempt = self._records.again(self._attempt)
            self._looker = Looker(self.aws, self._attempt)
            return found
        handlers.send(self.aws, self.store, self._attempt, found)
        if found.state in FINAL:
            self._attempt = self._records.note(self._attempt, "ended", found.data())
        return found
