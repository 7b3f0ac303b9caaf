"""A run as it goes: live lines on a terminal, plain lines elsewhere, all on stderr."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from infra.plan import FINAL, Event, RunRef
from pipelines import cli
from pipelines.request import Prepared

if TYPE_CHECKING:
    from rich.table import Table

_MARK = {
    "waiting": "·", "running": "▶", "succeeded": "✓", "cached": "✓",
    "skipped": "–", "failed": "✗", "cancelled": "✗",
}  # fmt: skip
_COLOUR = {"succeeded": "green", "cached": "green", "failed": "red", "cancelled": "yellow"}


@contextlib.contextmanager
def display(prepared: Prepared, run: RunRef) -> Iterator[Callable[[Event], None]]:
    """Yield what shows an event. Live where stderr is a terminal and CI is not set."""
    cli.say(f"run {run.run_id} on {run.provider}")
    if not sys.stderr.isatty() or os.environ.get("CI") or os.environ.get("TERM") == "dumb":
        yield _plain
        return
    live = _Live(prepared, run)
    with live.shown():
        yield live.enter


def describe(event: Event) -> str:
    """One line for one step."""
    took = f"{event.seconds:6.1f} s" if event.seconds else " " * 8
    words = event.message.splitlines()[0] if event.message else ""
    state = event.state if event.attempt == 1 else f"{event.state}, attempt {event.attempt}"
    line = f"  {_MARK[event.state]} {event.step:<12} {state:<10} {took}"
    return f"{line}  {words}".rstrip()


def _plain(event: Event) -> None:
    if event.step:
        cli.say(describe(event))
    elif event.state == "running" and event.message:
        cli.say(f"  {event.message}")


class _Live:
    """The steps as a table that is redrawn, with the last thing each running step said."""

    def __init__(self, prepared: Prepared, run: RunRef) -> None:
        self._prepared, self._run = prepared, run
        self._events = {
            step.name: Event(step.name, "waiting") for step in prepared.request.plan.steps
        }
        self._since: dict[str, float] = {}
        self._said: dict[str, str] = {}
        from rich.console import Console

        self._console = Console(stderr=True)

    def enter(self, event: Event) -> None:
        if event.step:
            self._events[event.step] = event
            self._since[event.step] = time.monotonic()
        elif event.state == "running" and event.message:
            self._console.print(f"  {event.message}", highlight=False)

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        from rich.live import Live

        threading.Thread(target=self._listen, daemon=True).start()
        with Live(get_renderable=self._table, console=self._console, refresh_per_second=4) as live:
            yield
            self._said.clear()
            live.refresh()

    def _listen(self) -> None:
        """Remember the last line of each step; a log that cannot be read is no reason to stop."""
        provider, settings = self._prepared.provider, self._prepared.settings
        with contextlib.suppress(Exception):
            for line in provider.logs(self._run, settings, "", follow=True):
                self._said[line.step] = line.text

    def _table(self) -> Table:
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 1))
        for name, event in self._events.items():
            seconds = event.seconds
            if event.state not in FINAL and name in self._since:
                seconds = time.monotonic() - self._since[name]
            words = self._said.get(name, "") if event.state == "running" else event.message
            row: list[Any] = [
                Text(f"  {_MARK[event.state]}", style=_COLOUR.get(event.state, "")),
                name,
                Text(event.state, style=_COLOUR.get(event.state, "dim")),
                f"{seconds:.1f} s" if seconds else "",
                Text(
                    words.splitlines()[0] if words else "",
                    style="dim",
                    overflow="ellipsis",
                    no_wrap=True,
                ),
            ]
            table.add_row(*row)
        return table
