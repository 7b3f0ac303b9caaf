"""Where the steps of an executed run stand: what stand-ins make their own answers of."""

from __future__ import annotations

from collections.abc import Iterable

from infra.history import Moment
from infra.plan import FINAL, Event

NOT_STARTED = "not started"
"""What the engine says of a step of a cancelled run that it never came to."""


class Stage:
    """Where a step stands: its last event, when it began and ended, how its attempts ended."""

    def __init__(self) -> None:
        self.event = Event("", "waiting")
        self.began = self.ended = 0.0
        self.failures: list[str] = []


def stages(moments: Iterable[Moment]) -> dict[str, Stage]:
    """Every step that was come to, in the order of their beginnings."""
    found: dict[str, Stage] = {}
    for each in moments:
        if each.event.step and each.event.message != NOT_STARTED:
            _enter(found.setdefault(each.event.step, Stage()), each)
    return found


def _enter(stage: Stage, told: Moment) -> None:
    event = told.event
    if event.state == "running":
        if stage.event.state == "running" and event.attempt > 1:
            stage.failures.append(event.message)
        elif stage.event.state in FINAL:  # the run goes on after it was cut off
            stage.failures = []
        stage.began = stage.began or told.at or 0.0
    elif event.state in FINAL:
        stage.began, stage.ended = stage.began or told.at or 0.0, told.at or 0.0
    stage.event = event
