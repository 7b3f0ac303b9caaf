"""Schedules: against torch's own, and by hand."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from training import schedules
from training.schedules import Ramp, Shape, value


def rates(shape: Shape, steps: int, warmup: int = 0) -> list[float]:
    return [schedules.rate(shape, step, steps, warmup) for step in range(steps)]


def torch_rates(make: Callable[[torch.optim.Optimizer], Any], steps: int) -> list[float]:
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimiser)
    found = []
    for _ in range(steps):
        found.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        scheduler.step()
    return found


def test_fixed_and_plateau_stay_where_they_are() -> None:
    assert set(rates("fixed", 10)) == set(rates("plateau", 10)) == {1.0}


@pytest.mark.parametrize("steps", [10, 137])
def test_cosine_is_torchs(steps: int) -> None:
    expected = torch_rates(lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, steps), steps)
    assert rates("cosine", steps) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("steps", "warmup"), [(100, 0), (50, 10), (1000, 0)])
def test_one_cycle_is_torchs(steps: int, warmup: int) -> None:
    def make(optimiser: torch.optim.Optimizer) -> Any:
        share = warmup / steps if warmup else 0.3
        return torch.optim.lr_scheduler.OneCycleLR(optimiser, 1.0, steps, pct_start=share)

    assert rates("onecycle", steps, warmup) == pytest.approx(torch_rates(make, steps), abs=1e-6)


@pytest.mark.parametrize("shape", ["fixed", "cosine", "plateau"])
def test_a_warmup_rises_in_a_straight_line(shape: Shape) -> None:
    assert rates(shape, 20, 4)[:5] == pytest.approx([0.25, 0.5, 0.75, 1, 1])


def test_cosine_after_a_warmup_ends_near_nothing() -> None:
    found = rates("cosine", 100, 20)
    assert found == sorted(found[:20]) + sorted(found[20:], reverse=True)
    assert found[-1] < 1e-3


@pytest.mark.parametrize("shape", ["fixed", "cosine", "onecycle", "plateau"])
@pytest.mark.parametrize(("steps", "warmup"), [(1, 0), (1, 5), (2, 2), (3, 100)])
def test_the_shortest_runs_have_a_rate_too(shape: Shape, steps: int, warmup: int) -> None:
    assert all(0 < each <= 1 for each in rates(shape, steps, warmup))


def test_a_ramp_goes_straight_and_then_stays() -> None:
    ramp = Ramp((1.0, 3.0, 4))
    assert [value(ramp, step) for step in (0, 1, 2, 4, 5, 1000)] == [1, 1.5, 2, 3, 3, 3]
    assert [value(0.3, step) for step in (0, 10)] == [0.3, 0.3]
