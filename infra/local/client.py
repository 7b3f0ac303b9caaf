"""The verbs for this machine. A run lives in the process that follows it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from infra.errors import InputError, nearest, unwritable
from infra.local import LocalSettings
from infra.local.ingredients import differences
from infra.local.rundir import RunDirectory, StepDirectory, run_ids
from infra.local.runner import choose
from infra.local.scheduler import Scheduler
from infra.plan import DONE, FINAL, Event, Json, LogLine, Plan, Request, RunRef, Status
from infra.provider import Context

if TYPE_CHECKING:
    from infra.history import History

_POLL = 0.1
_accepted: dict[str, tuple[Scheduler, RunDirectory]] = {}
"""Runs that this process has submitted and not yet followed to their end."""
_UNCHANGED = {
    "cached": ": what it left then was used",
    "succeeded": ", but it ran again: nothing whole was kept of it",
    "failed": "; it ran again and failed",
    "cancelled": "; it ran again and was ended",
    "running": "; it is running again",
}
"""What became of a step into which goes what went into it before."""


def submit(request: Request, settings: LocalSettings, context: Context) -> RunRef:
    """Accept the run; ``follow`` drives it. Where a process drives it already, attach to that.

    Raises InputError where the workspace cannot be written, or an image is not here, and
    ProviderError where the runner is docker and no daemon answers.
    """
    runner = choose(settings, request.plan)
    workspace = Path(settings.workspace)
    directory = RunDirectory(workspace, request.run_id)
    try:
        if directory.acquire():
            directory.write_request(request.body)
            scheduler = Scheduler(request, settings, runner, directory, context)
            _accepted[request.run_id] = (scheduler, directory)
    except OSError as error:
        raise unwritable(settings.workspace, error) from error
    return directory.run


def follow(run: RunRef, settings: LocalSettings) -> Iterator[Event]:
    """Drive the run, or watch the process that does."""
    if run.run_id not in _accepted:
        yield from _watch(RunDirectory(Path(settings.workspace), run.run_id))
        return
    scheduler, directory = _accepted.pop(run.run_id)
    try:
        yield from scheduler.events()
    finally:
        scheduler.abandon()
        directory.release()


def status(run: RunRef, settings: LocalSettings) -> Status:
    """Where the run stands. Raises InputError on an unknown run."""
    return RunDirectory(Path(settings.workspace), run.run_id).status()


def logs(run: RunRef, settings: LocalSettings, step: str, follow: bool) -> Iterator[LogLine]:
    """What the steps printed, step after step; with ``follow`` until the run has ended.

    Raises InputError on an unknown run or step.
    """
    directory = RunDirectory(Path(settings.workspace), run.run_id)
    known = {**directory.status().steps, **(directory.planned() if follow else {})}
    if step and step not in known:
        so_far = "" if follow else " so far"
        raise InputError(
            f"run {run.run_id} has no step {step}{so_far}; {nearest(step, known, 'it has ')}"
        )
    tails: dict[str, _Tail] = {}
    while True:
        ended = directory.status().state in FINAL
        for name in [step] if step else list(directory.status().steps):
            tail = tails.setdefault(name, _Tail(directory.step(name)))
            yield from (LogLine(name, line) for line in tail.lines(last=ended or not follow))
        if ended or not follow:
            return
        time.sleep(_POLL)


def outputs(run: RunRef, settings: LocalSettings) -> dict[str, dict[str, Json]]:
    """By step: each output parameter's value, and each artefact's path."""
    directory = RunDirectory(Path(settings.workspace), run.run_id)
    found: dict[str, dict[str, Json]] = {}
    for name, event in directory.status().steps.items():
        if event.state in DONE and (entry := directory.step(name).entry()):
            paths: dict[str, Json] = {key: str(entry.output(key)) for key in entry.digests}
            found[name] = {**entry.values, **paths}
    return found


def history(run: RunRef, settings: LocalSettings) -> History:
    """The plan, and each event with its time and use. Raises InputError on an unknown run."""
    from infra.history import History, moment, read_plan

    directory = RunDirectory(Path(settings.workspace), run.run_id)
    directory.status()
    try:
        plan = read_plan(directory.request()["plan"])
    except (OSError, ValueError, KeyError, TypeError):
        plan = None  # it is damaged or gone; what happened is still known
    return History(plan, tuple(moment(line) for line in directory.lines()))


def why(run: RunRef, settings: LocalSettings, step: str) -> list[str]:
    """Compare what went into a step with what went into it the last time it ran elsewhere.

    Raises InputError on an unknown run or step.
    """
    workspace = Path(settings.workspace)
    directory = RunDirectory(workspace, run.run_id)
    steps = directory.status().steps
    if step not in steps:
        raise InputError(f"run {run.run_id} has no step {step}; {nearest(step, steps, 'it has ')}")
    event, now = steps[step], directory.step(step).ingredients_used()
    if event.state == "skipped":
        return [f"{step} was skipped: {event.message}"]
    if not directory.planned().get(step, True):
        return [f"{step} runs every time: caching is off for it"]
    older = run_ids(workspace)
    for run_id in older[older.index(run.run_id) + 1 :]:
        before = RunDirectory(workspace, run_id).step(step).ingredients_used()
        if before:
            changed = differences(before, now)
            if changed:
                return [f"since {run_id}:", *changed]
            ended = _UNCHANGED.get(event.state, "")
            return [f"nothing that goes into {step} changed since {run_id}{ended}"]
    return [f"{step} never ran here before {run.run_id}"]


def cancel(run: RunRef, settings: LocalSettings) -> bool:
    """Ask the process that drives the run to end it; False when it had ended already.

    Where that process was killed, the steps that it left running are ended here.
    """
    directory = RunDirectory(Path(settings.workspace), run.run_id)
    steps = directory.status().steps  # an unknown run is a mistake, an ended one is not
    driver = directory.driver()
    if driver is not None:
        os.kill(driver, signal.SIGTERM)
        return True
    runner = choose(settings, Plan(run.run_id, ()))
    ended = [runner.end_orphan(directory.step(name), settings.grace) for name in steps]
    return any(ended)


def list_runs(settings: LocalSettings) -> list[RunRef]:
    """The runs of the workspace, newest first."""
    return [RunRef("local", run_id) for run_id in run_ids(Path(settings.workspace))]


def _watch(directory: RunDirectory) -> Iterator[Event]:
    """The events of a run that another process drives, until it ends, be it that it is killed."""
    driven, last, seen = directory.driver() is not None, Event("", "waiting"), 0
    if driven:
        yield Event("", "running", message="it is running already, so this command watches it")
    while True:
        events = list(directory.events())
        for last in events[seen:]:
            yield last
        seen = len(events)
        if not driven:
            break
        time.sleep(_POLL)
        driven = directory.driver() is not None
    if last.state not in FINAL or last.step:
        found = directory.status()
        yield from (event for event in found.steps.values() if event.state == "cancelled")
        yield Event("", found.state, message=found.message)


class _Tail:
    """Reads a step's logs, attempt after attempt, each line once."""

    def __init__(self, place: StepDirectory) -> None:
        self._place = place
        self._offsets: dict[int, int] = {}

    def lines(self, last: bool) -> Iterator[str]:
        """New whole lines; with ``last`` also one that has no end yet."""
        for attempt in self._place.attempts():
            with self._place.log(attempt).open("rb") as log:
                log.seek(self._offsets.get(attempt, 0))
                content = log.read()
            if not last:
                content = content[: content.rfind(b"\n") + 1]
            self._offsets[attempt] = self._offsets.get(attempt, 0) + len(content)
            yield from content.decode(errors="replace").splitlines()
