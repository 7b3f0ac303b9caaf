"""What the verbs tell of a run, once it was looked at: the same words in every cloud."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from infra.cloud.looking import Look, Task
from infra.errors import InputError
from infra.plan import DONE, FINAL, Event, Json, LogLine, Plan, RunRef, Status, Step

if TYPE_CHECKING:
    from infra.history import History

_READ_AGAIN = 1.0
"""Seconds between two looks at a log that is followed."""


def status(run: RunRef, found: Look) -> Status:
    """Where the run stands."""
    steps = {name: task.event(name) for name, task in found.tasks.items()}
    return Status(run, found.state, steps, found.words)


def logs(
    look: Callable[[], Look],
    lines: Callable[[Task], Iterable[str]],
    step: str,
    follow: bool,
    poll: float,
    again: float = _READ_AGAIN,
) -> Iterator[LogLine]:
    """What the steps printed, ``step`` empty for all of them; with ``follow`` until the run's end.

    ``lines`` gives what a task printed since it was asked before, at most each ``again`` seconds.
    """
    while True:
        found = look()
        for name, task in found.tasks.items():
            if step in ("", name):
                yield from (LogLine(name, line) for line in lines(task))
        if found.state in FINAL or not follow:
            return
        time.sleep(min(again, poll))


def outputs(
    plan: Plan, found: Look, of: Callable[[Step, Task], dict[str, Json]]
) -> dict[str, dict[str, Json]]:
    """By step that ended well: what ``of`` reads of its outputs."""
    done = {name: task for name, task in found.tasks.items() if task.state in DONE}
    return {name: of(plan.step(name), task) for name, task in done.items()}


def history(plan: Plan, found: Look) -> History:
    """The plan, and when each event was."""
    from infra.history import History, Moment

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


def why(found: Look, step: str, where: str) -> list[str]:
    """Why a step ran, or did not. ``where`` is a cloud that takes nothing from a cache."""
    task = found.tasks.get(step)
    if task is None or task.state == "waiting":
        return [f"{step} has not run"]
    if task.state == "skipped":
        return [f"{step} was skipped: {task.words}"]
    return [f"{step} ran as it does in every run: on {where} nothing is taken from a cache"]


def require_step(plan: Plan, run: RunRef, step: str) -> None:
    """Raise InputError where the plan has no such step; empty is all of them."""
    names = [each.name for each in plan.steps]
    if step and step not in names:
        raise InputError(f"run {run.run_id} has no step {step}; it has {', '.join(names)}")
