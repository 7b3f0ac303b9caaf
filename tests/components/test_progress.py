"""What a person reads while a model is trained."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from components import train
from training.loop import Point


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def wait(seconds: float) -> None:
        now[0] += seconds

    return wait


def test_progress_is_a_line_a_second_at_most(
    clock: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    progress = train.Progress(2000)
    for step in range(50, 1051, 50):
        clock(0.25)
        progress.show(Point(step, "train", {"loss": 81.46801, "kl": 20.6, "lr": 1e-3}))
        if step == 500:
            progress.show(Point(step, "validation", {"bits_per_dim": 2.0123}))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "step  200/2000  loss 81.47  kl 20.6  200 steps/s  9.0 s left"
    assert lines[3].startswith("step  800/2000  loss 81.47  kl 20.6  validation 2.012  200 steps/s")
    assert len(lines) == 5


def test_a_resumed_run_counts_its_own_steps_alone(
    clock: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    progress = train.Progress(10_000)
    for step in (9000, 9100):
        clock(1.0)
        progress.show(Point(step, "train", {"loss": 1.0}))
    assert capsys.readouterr().err.splitlines() == [
        "step  9000/10000  loss 1",
        "step  9100/10000  loss 1  100 steps/s  9.0 s left",
    ]


@pytest.mark.parametrize(
    ("seconds", "words"), [(5.84, "5.8 s"), (61, "1 min 1 s"), (7260, "2 h 1 min")]
)
def test_durations_are_for_people(seconds: float, words: str) -> None:
    assert train._duration(seconds) == words
