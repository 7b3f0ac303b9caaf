"""A run that was stopped goes on in the same bits."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.looped import config, duel, line, vae
from tests.prepared import small
from training.checkpoint import Checkpoints
from training.loop import Interrupted, Loop, Outcome, Point
from training.model import Model


def same(a: Outcome, b: Outcome) -> bool:
    return (a.steps, a.best_step, a.curves) == (b.steps, b.best_step, b.curves)


def same_weights(a: Model, b: Model) -> bool:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.equal(*pair) for pair in pairs)


KINDS: dict[str, tuple[Callable[[int], Model], dict[str, Any]]] = {
    "plain": (vae, {"validation": 0}),
    "all": (vae, {"ema": 0.9, "schedule": "onecycle", "clip": 1.0, "weight_decay": 0.1}),
    "plateau": (vae, {"schedule": "plateau", "plateau": 1, "lr": 0.05, "ema": 0.5}),
    "patience": (vae, {"patience": 1, "lr": 0.1, "steps": 200}),
    "players": (duel, {"ema": 0.9, "warmup": 20}),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stops", [(1,), (7,), (9, 10, 11), (20, 39), (59,)])
def test_a_run_that_was_stopped_ends_in_the_same_bits(
    kind: str, stops: tuple[int, ...], tmp_path: Path
) -> None:
    make, settings = KINDS[kind]
    whole = make(0)
    expected = Loop(whole, small(), config(**settings), 0).run()

    kept = Checkpoints(tmp_path, "f", print)
    reported: list[Point] = []

    def attempt(stop: int) -> tuple[Model, Outcome]:
        """As a new process does it: chance stands elsewhere, weights too once there are others."""
        found = kept.newest()
        done = found["step"] if found else 0
        model = make(99 if found else 0)
        torch.rand(stop)
        calls = itertools.count(done + 1)
        loop = Loop(
            model, small(), config(**settings), 0, checkpoints=kept, report=reported.append,
            stop=lambda: next(calls) >= stop,
        )  # fmt: skip
        return model, loop.run()

    for stop in stops:
        if stop < expected.steps:
            with pytest.raises(Interrupted, match=f"at step {stop}, saved"):
                attempt(stop)
    resumed, outcome = attempt(1000)
    assert same(outcome, expected)
    assert same_weights(resumed, whole)
    assert outcome.resumed_at == max((s for s in stops if s < expected.steps), default=0)
    steps = [point.step for point in reported if point.part == "train"]
    assert steps == expected.curves["train"]["step"]  # nothing is reported twice


def test_a_checkpoint_after_every_step_changes_nothing(tmp_path: Path) -> None:
    saved: list[int] = []
    models = [vae(), vae()]
    kept = Checkpoints(tmp_path, "f", print)
    often = config(checkpoint_seconds=0, ema=0.9)
    outcomes = [
        Loop(models[0], small(), config(ema=0.9), 0).run(),
        Loop(
            models[1], small(), often, 0, checkpoints=kept, before_save=lambda: saved.append(1)
        ).run(),
    ]
    assert same(*outcomes)
    assert same_weights(*models)
    assert len(saved) == 59


def test_without_a_place_to_save_it_stops_all_the_same() -> None:
    with pytest.raises(Interrupted, match="at step 1, with nowhere to save it"):
        Loop(line(), small(), config(), 0, stop=lambda: True).run()
