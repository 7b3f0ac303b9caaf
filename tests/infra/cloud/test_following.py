"""Whoever watches a run is told each change once, and at the end why it failed."""

from __future__ import annotations

import time
from typing import Any

import pytest

from infra.aws import emulator as aws
from infra.azure import emulator as azure
from infra.cloud.following import follow
from infra.cloud.looking import Look, Task
from infra.errors import ProviderError
from infra.gcp import emulator as gcp
from infra.plan import Event


@pytest.fixture(autouse=True)
def paused(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds between looks, which nobody waits for."""
    found: list[float] = []
    monkeypatch.setattr(time, "sleep", found.append)
    return found


def _followed(*looks: Look | Exception, poll: float = 15.0) -> list[Event]:
    coming = iter(looks)

    def look() -> Look:
        found = next(coming)
        if isinstance(found, Exception):
            raise found
        return found

    return list(follow(look, lambda *_: ["the disk is full"], poll))


def test_the_end_says_with_its_last_lines_what_failed_before_the_exit_handler() -> None:
    """What a person reads last is why it failed: its lines were told an hour before."""
    bad = Task("failed", 1.0, 2.0, words="end ended with exit code 3", code=1)
    going = Look("running", "running", {"end": bad, "last": Task("running", 3.0)})
    done = {"end": bad, "last": Task("succeeded", 3.0, 4.0)}
    over = Look("failed", "failed", done, 1.0, 4.0, bad.words, 1)
    events = _followed(going, over)
    assert (
        events[-1].message == "end ended with exit code 3\n  its last lines:\n    the disk is full"
    )
    assert [each.state for each in events if each.step == "end"] == ["running", "failed"]


def test_of_a_step_that_was_tried_again_the_end_tells_the_lines_of_the_last_attempt() -> None:
    """Those of the first are of a failure that is over: the disk was full, and then was not."""
    bad = Task("failed", 1.0, 2.0, words="train ended with exit code 3", code=1)
    looks = [
        Look("running", "running", {"train": bad}),
        Look("running", "running", {"train": Task("running", 3.0, attempt=2)}),
        Look("failed", "failed", {"train": bad._replace(attempt=2)}, 1.0, 4.0, bad.words, 1),
    ]
    lines = iter(["the disk is full", "nan at step 7"])
    events = list(follow(lambda: looks.pop(0), lambda *_: [next(lines)], 15.0))
    assert events[-1].message == (
        "train ended with exit code 3\n  its last lines:\n    nan at step 7"
    )


def test_it_looks_seldom_while_nothing_happens_and_soon_once_something_does(
    paused: list[float],
) -> None:
    """A run of a day is asked for thousands of times, or its end is seen late."""
    waits, runs = (Look("running", "running", {"a": Task(s)}) for s in ("waiting", "running"))
    over = Look("succeeded", "succeeded", {"a": Task("succeeded")})
    _followed(*[waits] * 12, runs, over, poll=3.0)
    assert paused[:3] == pytest.approx([0.3, 0.45, 0.675])
    assert paused[11] == 3.0
    assert paused[12] == pytest.approx(0.2)


@pytest.mark.parametrize("stand_in", [aws, gcp, azure])
def test_a_rehearsal_of_five_minutes_is_not_asked_a_thousand_times(
    paused: list[float], stand_in: Any
) -> None:
    """Google answers a project 60 times a minute and less; what is rehearsed must show that."""
    going = Look("running", "running", {"train": Task("running", 1.0)})
    over = Look("succeeded", "succeeded", {"train": Task("succeeded", 1.0, 300.0)})

    def look() -> Look:
        return going if sum(paused) < 300 else over

    list(follow(look, lambda *_: [], stand_in._POLL))
    assert paused[0] < 0.5
    assert len(paused) < 180


def test_a_cloud_out_of_reach_for_a_while_ends_no_watching() -> None:
    over = Look("succeeded", "succeeded", {})
    assert _followed(ProviderError("no way there"), over)[-1].state == "succeeded"
