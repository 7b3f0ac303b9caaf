"""Where a run stands: the nouns, and what follows from them in every cloud."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, get_args

from infra.plan import DONE, FINAL, Event, State, Step

_SETTLING = 60.0
"""Seconds in which a cloud may not know yet what it has started."""

BROKEN: frozenset[State] = frozenset({"failed", "cancelled"})
"""States of a run that the same command tries again."""


class Task(NamedTuple):
    """What became of a step. ``began`` and ``ended`` are seconds since the epoch, 0 for not yet.

    ``kind`` and ``job`` name what runs it; ``left`` is where its outputs lie, where that is not the
    step's own folder of the run.
    """

    state: State
    began: float = 0.0
    ended: float = 0.0
    kind: str = ""
    job: str = ""
    left: str = ""
    words: str = ""
    code: int = 0
    attempt: int = 1
    error: str = ""

    def event(self, step: str) -> Event:
        """As the event of entering its state."""
        took = _took(self.began, self.ended) if self.state in FINAL else 0.0
        return Event(step, self.state, took, self.words, self.attempt, self.code, self.error)


class Look(NamedTuple):
    """A run at one moment. ``main`` is the state of all but its exit handlers."""

    state: State
    main: State
    tasks: Mapping[str, Task]
    began: float = 0.0
    ended: float = 0.0
    words: str = ""
    code: int = 0
    execution: str = ""
    error: str = ""

    def event(self) -> Event:
        """As the event of the whole run."""
        took = _took(self.began, self.ended) if self.state in FINAL else 0.0
        return Event("", self.state, took, self.words, code=self.code, error=self.error)

    def data(self) -> dict[str, Any]:
        """To be kept."""
        tasks = {name: task._asdict() for name, task in self.tasks.items()}
        return {**self._asdict(), "tasks": tasks}


def kept(data: Mapping[str, Any]) -> Look:
    """A look at an ended run, as it was kept. Raises ValueError where it is not one."""
    try:
        tasks = {name: Task(**task) for name, task in data["tasks"].items()}
        found = Look(**{**data, "tasks": tasks})
    except (AttributeError, KeyError, TypeError):
        raise ValueError("another version wrote it, or somebody changed it") from None
    _require(found)
    for task in tasks.values():
        _require(task)
    if found.state not in FINAL:
        raise ValueError(f"{found.state} is no end")
    return found


def _require(found: Look | Task) -> None:
    """Raise ValueError where a state is unknown, or a field of another type than by default."""
    if found.state not in get_args(State):
        raise ValueError(f"{found.state} is no state")
    for name, default in found._field_defaults.items():
        types = (int, float) if isinstance(default, float) else type(default)
        if not isinstance(getattr(found, name), types):
            raise ValueError(f"its {name} is no {type(default).__name__}")


def concluded(found: Look, handlers: Iterable[str]) -> Look:
    """The state of the whole, once all but the exit handlers has ended; they are waited for."""
    tasks = found.tasks
    if any(name not in tasks or tasks[name].state not in FINAL for name in handlers):
        return found._replace(state="running", ended=0.0)
    failed = [name for name, task in tasks.items() if task.state == "failed"]
    state = "failed" if failed and found.main == "succeeded" else found.main
    ended = max([found.ended, *(task.ended for task in tasks.values())])
    if state != "failed":
        words = "ended on request" if state == "cancelled" else ""
        return found._replace(state=state, ended=ended, words=words)
    whole = Task("failed", words=found.words, code=1, error=found.error)
    first = tasks[failed[0]] if failed else whole
    return found._replace(
        state=state, ended=ended, words=first.words, code=first.code or 1, error=first.error
    )


def unknown(started: Mapping[str, Any], where: str) -> Look:
    """A run that a cloud does not know: it has not begun, or it is there no more.

    ``started`` is what is kept of its start, ``where`` the cloud.
    """
    if not started or time.time() - started.get("at", 0.0) < _SETTLING:
        return Look("waiting", "waiting", {})
    words = (
        f"{where} knows nothing of this run any more: somebody has removed it there, or it has "
        "expired; the same command begins it anew"
    )
    return Look("failed", "failed", {}, words=words, code=1, error="ProviderError")


def not_reached(step: Step, before: Mapping[str, Task], ended: State) -> Task:
    """What became of a step that a run, which has ``ended`` so, never came to."""
    if ended == "cancelled":
        return Task("cancelled", words="not started")
    for name in step.needs():
        task = before.get(name)
        if task and task.state not in DONE:
            skipped = task.state == "skipped"
            words = f"it takes an output of {name}, which did not run"
            return Task("skipped", words=words if skipped else f"{name} did not succeed")
    return Task("skipped", words="not reached")


def with_last_lines(words: str, lines: Sequence[str]) -> str:
    """A failure with what was printed last."""
    last = "".join(f"\n    {line}" for line in lines)
    return f"{words}\n  its last lines:{last}" if last else words


def _took(began: float, ended: float) -> float:
    return round(max(0.0, ended - began), 3) if began and ended else 0.0
