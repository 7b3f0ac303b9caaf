"""A run's progress: lines elsewhere, a table on a terminal, and never anything on stdout."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, get_args

import pytest

from infra.plan import Event, LogLine, Plan, RunRef, State, Step
from pipelines.display import describe, display

RUN = RunRef("local", "run-1")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def prepared(logs: Any = lambda *_, **__: iter(())) -> Any:
    plan = Plan("p", (Step("train", "i", ()), Step("evaluate", "i", ())))
    return SimpleNamespace(
        request=SimpleNamespace(plan=plan), provider=SimpleNamespace(logs=logs), settings=None
    )


@pytest.mark.parametrize("state", get_args(State))
def test_every_state_has_a_line(state: State) -> None:
    line = describe(Event("train", state, 2.04, "first\nsecond"))
    assert [word for word in ("train", state, "2.0 s", "first") if word not in line] == []
    assert "\n" not in line


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (Event("train", "running"), "  ▶ train        running"),
        (Event("train", "running", attempt=2), "  ▶ train        running, attempt 2"),
        (Event("train", "cached", 0.04), "  ✓ train        cached        0.0 s"),
    ],
)
def test_a_line_says_no_more_than_it_knows(event: Event, line: str) -> None:
    assert describe(event) == line


def test_elsewhere_each_event_is_a_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with display(prepared(), RUN) as show:
        show(Event("", "running", message="it is watched"))
        show(Event("train", "running"))
        show(Event("", "succeeded", 3.0))  # the run's own end is told by the result
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "run run-1 on local\n  it is watched\n  ▶ train        running\n"


def live(monkeypatch: pytest.MonkeyPatch, source: Any, *events: Event) -> str:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    with display(source, RUN) as show:
        for event in events:
            show(event)
    return terminal.getvalue()


def test_on_a_terminal_all_steps_are_shown_as_they_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    end = [Event("train", "succeeded", 1.5), Event("evaluate", "failed", 0.5, "[red]no[/] luck\n2")]
    begun = [Event("", "running", message="it is watched"), Event("train", "running")]
    last = live(monkeypatch, prepared(), *begun, *end)
    assert [
        word
        for word in ("it is watched", "✓", "train", "1.5 s", "✗", "[red]no[/] luck")
        if word not in last
    ] == []
    assert capsys.readouterr().out == ""


def test_logs_that_cannot_be_read_do_not_stop_the_show(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> Iterator[LogLine]:
        raise OSError("gone")

    assert "train" in live(monkeypatch, prepared(broken), Event("train", "running"))


@pytest.mark.parametrize(("name", "value"), [("CI", "true"), ("TERM", "dumb")])
def test_where_nothing_can_be_redrawn_there_are_lines(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv(name, value)
    with display(prepared(), RUN) as show:
        show(Event("train", "running"))
    assert terminal.getvalue() == "run run-1 on local\n  ▶ train        running\n"
