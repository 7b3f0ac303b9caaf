"""Watches a run to its end: soon again while something happens, seldom while nothing does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from infra.cloud.looking import Look, Task, with_last_lines
from infra.errors import ProviderError
from infra.plan import FINAL, Event

_FIRST, _FACTOR = 0.2, 1.5
"""Seconds after which it looks again once something happened, and how that grows."""
_PATIENCE = 300.0
"""Seconds that a cloud may be out of reach while a run is watched."""

Seen = tuple[str, int, str]


def follow(
    look: Callable[[], Look], tail: Callable[[str, Task], list[str]], poll: float
) -> Iterator[Event]:
    """Each change, until the run has ended. ``tail`` gives the last lines of a failed step.

    ``poll`` is the most seconds between two looks. Raises TrefoilError, where the cloud is out of
    reach once it has been so for minutes.
    """
    yield Event("", "running")
    seen: dict[str, Seen] = {}
    failures: list[Event] = []
    pause = _FIRST
    while True:
        found = _patiently(look)
        news = list(_news(found, seen, tail))
        yield from news
        failures += [each for each in news if each.state == "failed" and each.code]
        if found.state in FINAL:
            yield _conclusion(found, failures)
            return
        pause = _FIRST if news else pause * _FACTOR
        time.sleep(min(pause, poll))


def _patiently(look: Callable[[], Look]) -> Look:
    until, pause = time.monotonic() + _PATIENCE, _FIRST
    while True:
        try:
            return look()
        except ProviderError:
            if time.monotonic() + pause > until:
                raise
        time.sleep(pause)
        pause = min(pause * 2, 20.0)


def _news(
    found: Look, seen: dict[str, Seen], tail: Callable[[str, Task], list[str]]
) -> Iterator[Event]:
    for name, task in found.tasks.items():
        before, now = seen.get(name), (task.state, task.attempt, task.words)
        if now == before or task.state == "waiting":
            continue
        seen[name] = now
        if before is None and task.state in ("succeeded", "failed"):
            yield Event(name, "running")  # it was quicker than we look
        event = task.event(name)
        if task.state == "failed":
            event = event._replace(message=_told(name, task, tail))
        yield event


def _told(name: str, task: Task, tail: Callable[[str, Task], list[str]]) -> str:
    """Why it failed, with the last lines of its log where the cloud told none."""
    if "\n" in task.words:
        return task.words
    return with_last_lines(task.words or f"{name} failed", tail(name, task))


def _conclusion(found: Look, failures: list[Event]) -> Event:
    """The end of the run; where a step is to blame, in the words that were last told of that."""
    event = found.event()
    if event.state != "failed" or not event.message:
        return event
    told = (each.message for each in reversed(failures))
    words = (each for each in told if each.startswith(event.message))
    return event._replace(message=next(words, event.message))
