"""Validation: what it keeps, when it slows the training down, when it ends it."""

import math

import pytest

from tests.looped import config, line, vae
from tests.prepared import small
from training.loop import Diverged, Loop, Point


def test_plateau_halves_the_rate_where_validation_stands_still() -> None:
    settings = config(
        steps=20, log_every=1, lr=0.1, schedule="plateau", plateau=2, validate_every=3
    )
    found = Loop(line(lambda _: 1.0), small(), settings, 0).run().curves["train"]["lr"]
    # Validations after steps 3, 6, 9, ...: the first is the best, the third and fifth halve.
    assert found == pytest.approx([0.1] * 9 + [0.05] * 6 + [0.025] * 5)


def test_the_weights_of_the_best_validation_are_kept() -> None:
    seen: dict[int, float] = {}
    model = line(lambda step: abs(step - 30))

    def note(point: Point) -> None:
        if point.part == "validation":
            seen[point.step] = float(model.weight.detach())

    outcome = Loop(model, small(), config(lr=0.1), 0, report=note).run()
    assert outcome.best_step == 30
    assert float(model.weight.detach()) == seen[30] != seen[60]


def test_it_ends_when_validation_has_not_improved_for_long_enough() -> None:
    outcome = Loop(line(lambda step: abs(step - 20)), small(), config(patience=3), 0).run()
    assert (outcome.best_step, outcome.steps) == (20, 50)
    assert outcome.curves["validation"]["step"] == [10, 20, 30, 40, 50]


def test_validation_leaves_no_trace() -> None:
    models = [vae(), vae()]
    # With no better validation after the first, what is kept would differ: so look at the curves.
    curves = [
        Loop(model, small(), config(validate_every=every, log_every=1), 0).run().curves["train"]
        for model, every in zip(models, (1, 1000), strict=True)
    ]
    assert curves[0] == curves[1]


def test_a_nan_in_validation_ends_it_too() -> None:
    with pytest.raises(Diverged, match="validation's loss is nan at step 10"):
        Loop(line(lambda _: math.nan), small(), config(), 0).run()
