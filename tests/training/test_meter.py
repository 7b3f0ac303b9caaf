"""The meter: means, and the very step of a number that is none."""

import math

import pytest
import torch

from training.meter import Meter, NotFinite


def scalars(**values: float) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(float(value)) for name, value in values.items()}


def test_it_gives_means_and_begins_anew() -> None:
    meter = Meter(4)
    for step, loss in enumerate([1, 2, 6], 1):
        meter.add(step, scalars(loss=loss, kl=-loss))
    assert meter.take() == {"loss": 3, "kl": -3}
    meter.add(4, scalars(loss=5, kl=0))
    assert meter.take() == {"loss": 5, "kl": 0}


def test_more_than_it_has_room_for_are_all_counted() -> None:
    meter = Meter(4)
    for step in range(1, 12):
        meter.add(step, scalars(loss=step))
    assert meter.take() == {"loss": 6}


def test_gradients_are_of_no_concern() -> None:
    meter, weight = Meter(2), torch.ones(1, requires_grad=True)
    meter.add(1, {"loss": (2 * weight).sum()})
    assert meter.take() == {"loss": 2}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("capacity", [3, 10])
def test_a_number_that_is_none_is_told_with_its_name_and_step(value: float, capacity: int) -> None:
    meter = Meter(capacity)
    with pytest.raises(NotFinite) as error:  # noqa: PT012
        for step in range(1, 8):
            meter.add(step, scalars(loss=1, kl=value if step == 5 else 1))
        meter.take()
    assert (error.value.name, error.value.step) == ("kl", 5)
    assert "kl is" in str(error.value)


@pytest.mark.parametrize("stop", [0, 1, 4, 5, 9])
def test_it_goes_on_where_it_was(stop: int) -> None:
    whole, first, second = Meter(4), Meter(4), Meter(4)
    losses = torch.rand(10).tolist()
    for step, loss in enumerate(losses, 1):
        whole.add(step, scalars(loss=loss))
        if step <= stop:
            first.add(step, scalars(loss=loss))
    second.restore(first.state(), torch.device("cpu"))
    for step, loss in enumerate(losses[stop:], stop + 1):
        second.add(step, scalars(loss=loss))
    assert second.take() == whole.take()


def test_nothing_added_is_nothing() -> None:
    assert Meter(3).take() == {}
