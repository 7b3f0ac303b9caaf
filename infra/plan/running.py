"""A run as it goes: what it is called, what happens in it, where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

State = Literal["waiting", "running", "succeeded", "cached", "skipped", "failed", "cancelled"]

FINAL: frozenset[State] = frozenset({"succeeded", "cached", "skipped", "failed", "cancelled"})
"""States that a step or a run does not leave."""

DONE: frozenset[State] = frozenset({"succeeded", "cached"})
"""States of a step whose outputs exist."""


class RunRef(NamedTuple):
    """Names a run in a place."""

    provider: str
    run_id: str


class Event(NamedTuple):
    """A step, or the whole run when ``step`` is empty, entered a state.

    ``code`` is the exit code to end with after a failure: 1, or 2 where the input was bad.
    ``error`` names the failure, as ``infra.errors`` does, where a place knows more of it than that.
    """

    step: str
    state: State
    seconds: float = 0.0
    message: str = ""
    attempt: int = 1
    code: int = 0
    error: str = ""


class Status(NamedTuple):
    """Where a run stands. ``state`` is of the whole run."""

    run: RunRef
    state: State
    steps: Mapping[str, Event]
    message: str = ""


class LogLine(NamedTuple):
    """One line that a step printed."""

    step: str
    text: str
