"""The loop: several players, schedules, averages, curves."""

import copy
import math
from typing import Any

import pytest
import torch

from tests.looped import config, duel, line, vae
from tests.prepared import small
from training.loop import Loop
from training.schedules import Ramp


def test_each_player_moves_in_its_turn_by_its_own_loss() -> None:
    model = duel()
    before = copy.deepcopy(model.state_dict())
    Loop(model, small(), config(steps=1, validation=0), 0).run()
    assert model.moves == ["critic", "critic"]
    moved = {n for n, t in model.state_dict().items() if not torch.equal(t, before[n])}
    assert {name.partition(".")[0] for name in moved} == {"critic"}


def test_players_have_curves_of_their_own() -> None:
    outcome = Loop(duel(), small(), config(steps=20), 0).run()
    for part in ("train", "validation"):
        assert {"critic/loss", "critic/gap", "generator/loss"} <= outcome.curves[part].keys()


def test_a_player_without_a_turn_leaves_a_gap_in_its_curve() -> None:
    outcome = Loop(duel(), small(), config(steps=4, log_every=1, validation=0), 0).run()
    train = outcome.curves["train"]
    assert [value is None for value in train["generator/loss"]] == [True, False, True, False]
    assert {len(column) for column in train.values()} == {4}


def test_it_minimises() -> None:
    model = line()
    outcome = Loop(model, small(), config(steps=300, lr=0.1, validation=0), 0).run()
    mean = small().train["image"].float().mean()
    assert float(model.weight.detach()) == pytest.approx(float(mean), abs=0.2)
    assert outcome.steps == outcome.best_step == 300


def rates(**settings: Any) -> list[float | None]:
    points = config(steps=20, log_every=1, lr=0.1, **settings)
    return Loop(line(lambda _: 1.0), small(), points, 0).run().curves["train"]["lr"]


def test_the_learning_rate_follows_its_schedule() -> None:
    assert rates(warmup=4)[:5] == pytest.approx([0.025, 0.05, 0.075, 0.1, 0.1])
    cosine = [0.05 * (1 + math.cos(math.pi * step / 20)) for step in range(20)]
    assert rates(schedule="cosine") == pytest.approx(cosine)


def test_any_number_may_be_a_ramp() -> None:
    settings = config(steps=10, log_every=1, lr=Ramp((0.0, 0.1, 10)), clip=Ramp((1.0, 2.0, 5)))
    found = Loop(line(), small(), settings, 0).run().curves["train"]["lr"]
    assert found == pytest.approx([0.01 * step for step in range(10)])


def test_the_average_is_validated_and_kept() -> None:
    plain, averaged = line(), line()
    for model, ema in ((plain, 0.0), (averaged, 0.9)):
        Loop(model, small(), config(lr=0.05, ema=ema, steps=24, validation=0), 0).run()
    assert 0 < float(averaged.weight.detach()) < float(plain.weight.detach())
    again = line(lambda step: -step)  # the last is the best
    Loop(again, small(), config(lr=0.05, ema=0.9, steps=24), 0).run()
    assert float(again.weight.detach()) == pytest.approx(float(averaged.weight.detach()), abs=0.01)


def test_the_last_step_is_logged_and_validated() -> None:
    outcome = Loop(line(), small(), config(steps=12), 0).run()
    assert outcome.curves["train"]["step"] == [7, 12]
    assert outcome.curves["validation"]["step"] == [10, 12]


def test_another_seed_is_another_run() -> None:
    models = [vae(), vae()]
    curves = [Loop(m, small(), config(), seed).run().curves for seed, m in enumerate(models)]
    assert curves[0] != curves[1]
