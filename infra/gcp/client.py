"""The verbs for Vertex AI. A run lives in the project, and what is kept of it in its bucket."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from infra.cloud import following, starting, telling
from infra.cloud.looking import Look, Task
from infra.cloud.records import Attempt, Records
from infra.gcp import GcpSettings, sending
from infra.gcp import logs as log
from infra.gcp.looking import Looker
from infra.gcp.outputs import Outputs
from infra.gcp.reaping import left, reap
from infra.gcp.session import Gcp, connected
from infra.gcp.stopping import stop, stop_attempt
from infra.plan import FINAL, Event, Json, LogLine, Plan, Request, RunRef, Status
from infra.provider import Context

if TYPE_CHECKING:
    from infra.history import History

__all__ = [
    "cancel", "follow", "history", "left", "list_runs", "logs", "outputs", "reap", "status",
    "submit", "why",
]  # fmt: skip


def submit(request: Request, settings: GcpSettings, _context: Context) -> RunRef:
    """Start the run; attach to it where it goes on, or has succeeded.

    Raises InputError with every fault that Vertex AI would find, before anything is sent.
    """
    sending.check(request)
    sending.send(connected(settings.project, settings.region), request, settings)
    return RunRef("gcp", request.run_id)


def follow(run: RunRef, settings: GcpSettings) -> Iterator[Event]:
    """Watch the run to its end."""
    watched = _Watched(run, settings)

    def tail(_: str, task: Task) -> list[str]:
        return log.tail(watched.gcp, task)

    return following.follow(watched.look, tail, settings.poll)


def status(run: RunRef, settings: GcpSettings) -> Status:
    """Where the run stands. Raises InputError on an unknown run."""
    return telling.status(run, _Watched(run, settings).look())


def logs(run: RunRef, settings: GcpSettings, step: str, follow: bool) -> Iterator[LogLine]:
    """What the steps printed, step after step; with ``follow`` until the run has ended.

    Raises InputError on an unknown run or step.
    """
    watched = _Watched(run, settings)
    telling.require_step(watched.plan, run, step)
    reader = log.Reader(watched.gcp)
    return telling.logs(watched.look, reader.lines, step, follow, settings.poll, log.AGAIN)


def outputs(run: RunRef, settings: GcpSettings) -> dict[str, dict[str, Json]]:
    """By step: each output parameter's value, and each artefact's path, or else its URI.

    What is not too large is brought into the workspace.
    """
    watched = _Watched(run, settings)
    found = Outputs(watched.gcp, settings, run.run_id)
    return telling.outputs(watched.plan, watched.look(), found.of)


def history(run: RunRef, settings: GcpSettings) -> History:
    """The plan, and when each event was. Raises InputError on an unknown run."""
    watched = _Watched(run, settings)
    return telling.history(watched.plan, watched.look())


def why(run: RunRef, settings: GcpSettings, step: str) -> list[str]:
    """Why a step ran, or did not: Vertex AI tells whether it took it from its cache, not why.

    Raises InputError on an unknown run or step.
    """
    watched = _Watched(run, settings)
    telling.require_step(watched.plan, run, step)
    found = watched.look()
    task = found.tasks.get(step)
    if task is not None and task.state == "cached":
        return [f"{step} was taken from Vertex AI's cache: the same container with the same inputs"]
    if task is None or task.state in ("waiting", "skipped"):
        return telling.why(found, step, "Vertex AI")
    if not watched.plan.step(step).cache:
        return [f"{step} runs every time: caching is off for it"]
    return [f"{step} ran: Vertex AI's cache had nothing of the same container with the same inputs"]


def cancel(run: RunRef, settings: GcpSettings) -> bool:
    """Ask Vertex AI to end the run; safe to repeat. False when it had ended already."""
    watched = _Watched(run, settings)
    found = watched.look()
    if found.state == "waiting" or watched.forestalled:
        watched.forestall()
        return found.state == "waiting"
    if found.state in FINAL:
        return False
    stop(watched.gcp, found.execution)
    return True


def list_runs(settings: GcpSettings) -> list[RunRef]:
    """The runs that the bucket knows, newest first."""
    gcp = connected(settings.project, settings.region)
    records = Records(gcp.store(settings.bucket), settings.prefix)
    return [RunRef("gcp", run_id) for run_id in records.runs()]


class _Watched:
    """The newest attempt at a run, looked at as often as one likes."""

    def __init__(self, run: RunRef, settings: GcpSettings) -> None:
        """Raises InputError where there is no such run."""
        self.gcp: Gcp = connected(settings.project, settings.region)
        self._records = Records(self.gcp.store(settings.bucket), settings.prefix)
        self._attempt: Attempt = self._records.require(run)
        self._looker = Looker(self.gcp, self._attempt)

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
            self._records, self._attempt, lambda attempt: stop_attempt(self.gcp, attempt)
        )

    def look(self) -> Look:
        """How it stands; keeps how it ended."""
        if self._attempt.ended:
            return self._attempt.end
        found = self._looker.look()
        if found.state == "waiting":  # or somebody has just started it, or cancelled it
            self._attempt = self._records.again(self._attempt)
            self._looker = Looker(self.gcp, self._attempt)
            return found
        if found.state in FINAL:
            self._attempt = self._records.note(self._attempt, "ended", found.data())
        return found
