"""AdamW against torch's, clipping against torch's, the average against its definition."""

import copy

import pytest
import torch
from torch import Tensor, nn

from training.optimiser import EVERY, AdamW, Average


def nets() -> tuple[nn.Sequential, nn.Sequential]:
    torch.manual_seed(0)
    mine = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3))
    return mine, copy.deepcopy(mine)


def loss(net: nn.Module, step: int) -> Tensor:
    generator = torch.Generator().manual_seed(step)
    total: Tensor = net(torch.randn(4, 5, generator=generator) * 3).square().sum()
    return total


def run(net: nn.Module, optimiser: AdamW, steps: range, clip: float = 0.0) -> None:
    for step in steps:
        gradients = torch.autograd.grad(loss(net, step), optimiser.parameters)
        optimiser.step(gradients, 0.01 / (step + 1), 0.3, clip)


def torch_run(
    net: nn.Module, optimiser: torch.optim.Optimizer, steps: range, clip: float = 0.0
) -> None:
    for step in steps:
        optimiser.param_groups[0]["lr"] = 0.01 / (step + 1)
        optimiser.zero_grad()
        loss(net, step).backward()  # type: ignore[no-untyped-call]
        if clip:
            nn.utils.clip_grad_norm_(net.parameters(), clip)
        optimiser.step()


def flat(net: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in net.parameters()])


def test_it_is_torchs_to_the_bit() -> None:
    mine, theirs = nets()
    run(mine, AdamW(list(mine.parameters()), (0.8, 0.99)), range(30))
    optimiser = torch.optim.AdamW(
        theirs.parameters(), betas=(0.8, 0.99), weight_decay=0.3, fused=True
    )
    torch_run(theirs, optimiser, range(30))
    assert torch.equal(flat(mine), flat(theirs))


@pytest.mark.parametrize("clip", [0.5, 1e6])
def test_it_clips_as_torch_does(clip: float) -> None:
    mine, theirs = nets()
    run(mine, AdamW(list(mine.parameters()), (0.9, 0.999)), range(30), clip)
    optimiser = torch.optim.AdamW(theirs.parameters(), weight_decay=0.3, fused=True)
    torch_run(theirs, optimiser, range(30), clip)
    torch.testing.assert_close(flat(mine), flat(theirs), atol=1e-6, rtol=1e-5)


def test_a_large_gradient_is_scaled_to_the_limit_and_a_small_one_is_left() -> None:
    weight = nn.Parameter(torch.zeros(2))
    first = AdamW([weight], (0.0, 0.0))  # with no memory, "mean" is the gradient as used
    for given, used in (([30.0, 40.0], [3.0, 4.0]), ([0.3, 0.4], [0.3, 0.4])):
        first.step([torch.tensor(given)], 0.0, clip=5.0)
        torch.testing.assert_close(first.state()["mean"][0], torch.tensor(used))


def test_it_goes_on_where_it_was() -> None:
    mine, other = nets()
    optimiser = AdamW(list(mine.parameters()), (0.9, 0.999))
    run(mine, optimiser, range(10))
    other.load_state_dict(mine.state_dict())
    resumed = AdamW(list(other.parameters()), (0.9, 0.999))
    resumed.restore(copy.deepcopy(optimiser.state()))
    run(mine, optimiser, range(10, 20))
    run(other, resumed, range(10, 20))
    assert torch.equal(flat(mine), flat(other))


def test_frozen_parameters_do_not_move() -> None:
    net, same = nets()
    net[0].requires_grad_(False)
    run(net, AdamW(list(net.parameters()), (0.9, 0.999)), range(5))
    moved = [
        not torch.equal(*pair) for pair in zip(net.parameters(), same.parameters(), strict=True)
    ]
    assert moved == [False, False, True, True]


def test_the_average_follows_its_definition_and_can_be_put_in_place() -> None:
    weight = nn.Parameter(torch.zeros(1))
    average, expected = Average([weight], 0.9), 0.0
    for step in range(1, 5 * EVERY + 1):
        weight.data.fill_(step)
        average.update(step)
        if step % EVERY == 0:
            decay = min(0.9, (1 + step) / (10 + step)) ** EVERY
            expected += (1 - decay) * (step - expected)
    assert float(average.state()[0]) == pytest.approx(expected)
    with average.in_place():
        assert float(weight.detach()) == pytest.approx(expected)
    assert float(weight.detach()) == 5 * EVERY
