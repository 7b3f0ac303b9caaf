"""The verbs for Azure ML. A run lives in the workspace, and what is kept of it in its container.

Whoever looks at a run whose steps have ended starts its exit handlers, if nobody did.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from infra.azure import AzureSettings, handlers, sending
from infra.azure import logs as log
from infra.azure.looking import Looker
from infra.azure.reaping import left, reap
from infra.azure.session import Azure, connected
from infra.azure.stopping import stop, stop_attempt
from infra.azure.store import Blobs
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


def submit(request: Request, settings: AzureSettings, _context: Context) -> RunRef:
    """Start the run; attach to it where it goes on, or has succeeded.

    A run that failed goes on with the steps that have not ended well. Raises InputError with every
    fault that Azure would find, before anything is sent.
    """
    sending.check(request)
    sending.send(connected(settings), request, settings)
    return RunRef("azure", request.run_id)


def follow(run: RunRef, settings: AzureSettings) -> Iterator[Event]:
    """Watch the run to its end, exit handlers among it."""
    watched = _Watched(run, settings)

    def tail(step: str, task: Task) -> list[str]:
        return log.tail(watched.azure, step, task)

    return following.follow(watched.look, tail, settings.poll)


def status(run: RunRef, settings: AzureSettings) -> Status:
    """Where the run stands. Raises InputError on an unknown run."""
    return telling.status(run, _Watched(run, settings).look())


def logs(run: RunRef, settings: AzureSettings, step: str, follow: bool) -> Iterator[LogLine]:
    """What the steps printed, step after step; with ``follow`` until the run has ended.

    Raises InputError on an unknown run or step.
    """
    watched = _Watched(run, settings)
    telling.require_step(watched.plan, run, step)
    reader = log.Reader(watched.azure)
    return telling.logs(watched.look, reader.lines, step, follow, settings.poll)


def outputs(run: RunRef, settings: AzureSettings) -> dict[str, dict[str, Json]]:
    """By step: each output parameter's value, and each artefact's path, or else its address.

    What is not too large is brought into the workspace.
    """
    watched = _Watched(run, settings)
    found = Outputs(watched.store, settings.prefix, settings.workspace, run.run_id)
    return telling.outputs(watched.plan, watched.look(), found.of)


def history(run: RunRef, settings: AzureSettings) -> History:
    """The plan, and when each event was. Raises InputError on an unknown run."""
    watched = _Watched(run, settings)
    return telling.history(watched.plan, watched.look())


def why(run: RunRef, settings: AzureSettings, step: str) -> list[str]:
    """Why a step ran, or did not. Raises InputError on an unknown run or step."""
    watched = _Watched(run, settings)
    telling.require_step(watched.plan, run, step)
    return telling.why(watched.look(), step, "Azure ML")


def cancel(run: RunRef, settings: AzureSettings) -> bool:
    """Ask Azure to end the run; safe to repeat. False when it had ended already."""
    watched = _Watched(run, settings)
    found = watched.look()
    if found.state == "waiting" or watched.forestalled:
        watched.forestall()
        return found.state == "waiting"
    if found.state in FINAL:
        return False
    stop(watched.azure, found)
    return True


def list_runs(settings: AzureSettings) -> list[RunRef]:
    """The runs that the container knows, newest first."""
    records = Records(Blobs(connected(settings), settings.datastore), settings.prefix)
    return [RunRef("azure", run_id) for run_id in records.runs()]


class _Watched:
    """The newest attempt at a run, looked at as often as one likes."""

    def __init__(self, run: RunRef, settings: AzureSettings) -> None:
        """Raises InputError where there is no such run."""
        self.azure: Azure = connected(settings)
        self.store = Blobs(self.azure, settings.datastore)
        self._records = Records(self.store, settings.prefix)
        self._attempt: Attempt = self._records.require(run)
        self._looker = Looker(self.azure, self.store, self._attempt)

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
            self._records, self._attempt, lambda attempt: stop_attempt(self.azure, attempt)
        )

    def look(self) -> Look:
        """How it stands; starts exit handlers that are due, and keeps how it ended."""
        if self._attempt.ended:
            return self._attempt.end
        found = self._looker.look()
        if found.state == "waiting":  # or somebody has just started it, or cancelled it
            self._attempt = self._records.again(self._attempt)
            self._looker = Looker(self.azure, self.store, self._attempt)
            return found
        handlers.send(self.azure, self.store, self._attempt, found)
        if found.state in FINAL:
            self._attempt = self._records.note(self._attempt, "ended", found.data())
        return found
