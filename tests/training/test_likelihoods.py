"""The likelihoods against others': exact, summing to one, and finite wherever training may go."""

import math

import pytest
import scipy.stats
import torch
from torch import Tensor
from torch.distributions import Binomial as Torchs

from training.models.likelihoods import FEW, Binomial, Likelihood, Logistic, likelihood

BOTH = [Binomial(16), Binomial(255), Logistic(1), Logistic(16), Logistic(255)]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def nats(of: Likelihood, x: Tensor, given: Tensor) -> Tensor:
    """-log p of each image."""
    return of.code_length(x, given) - of.constant(x)


def every_level(of: Likelihood) -> Tensor:
    """All values of a single pixel, a row each."""
    top: int = of.top  # type: ignore[attr-defined]
    return (torch.arange(top + 1, dtype=torch.float32) / top)[:, None]


@pytest.mark.parametrize("top", [1, 4, 16, 255])
def test_the_binomial_is_the_binomial(top: int) -> None:
    """A wrong constant would make bits/dim a number of our own."""
    counts = torch.randint(0, top + 1, (40, 6), generator=seeded()).double()
    logits = torch.randn(40, 6, generator=seeded(1)) * 3
    found = nats(Binomial(top), (counts / top).float(), logits)
    torchs = Torchs(top, logits=logits.double(), validate_args=False).log_prob(counts)  # type: ignore[no-untyped-call]
    scipys = scipy.stats.binom.logpmf(counts, top, torch.sigmoid(logits.double()))
    torch.testing.assert_close(found, -torchs.sum(1).float(), rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(
        found, -torch.from_numpy(scipys).sum(1).float(), rtol=1e-4, atol=1e-3
    )


@pytest.mark.parametrize("top", [1, 16, 255])
def test_the_logistic_is_the_mass_of_a_logistic_about_each_level(top: int) -> None:
    """The ends of the scale have the tails; a level between them what scipy says."""
    k = torch.randint(0, top + 1, (60, 6), generator=seeded()).double()
    centre = torch.rand(60, 6, generator=seeded(1)) * 1.6 - 0.8  # beyond both ends, too
    log_scale = torch.randn(60, 6, generator=seeded(2))
    of = Logistic(top)
    found = nats(of, (k / top).float(), torch.cat([centre, log_scale], -1))
    scale = (of.SCALE * top * log_scale.double().exp()).clamp(min=of.NARROWEST)
    middle = (centre.double() + 0.5) * top
    exact = scipy.stats.logistic(middle, scale)
    low = torch.where(k == 0, -math.inf, k - 0.5)
    high = torch.where(k == top, math.inf, k + 0.5)
    left = torch.from_numpy(exact.cdf(high) - exact.cdf(low))
    right = torch.from_numpy(exact.sf(low) - exact.sf(high))  # where cdf is near 1, it cancels
    mass = left.where(k < middle, right)
    torch.testing.assert_close(found, -mass.log().sum(1).float(), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("of", BOTH, ids=lambda of: f"{type(of).__name__}-{of.top}")
def test_all_values_of_a_pixel_together_have_probability_one(of: Likelihood) -> None:
    """Else a model could win bits by what no data can be."""
    x = every_level(of)
    for first in (-4.0, -0.3, 0.0, 2.5):
        for second in (-9.0, -1.0, 0.0, 3.0):
            given = torch.tensor([[first, second][: of.outputs]]).expand(len(x), of.outputs)
            assert float(torch.exp(-nats(of, x, given)).sum()) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("extreme", [(50.0, -50.0), (-50.0, -50.0), (0.0, 40.0), (0.3, -50.0)])
def test_the_logistic_has_numbers_and_gradients_wherever_training_may_go(
    extreme: tuple[float, float],
) -> None:
    """One NaN in a gradient, in a pixel that is not even asked for, ends a run."""
    of = Logistic(255)
    x = every_level(of)
    given = torch.tensor([extreme]).repeat(len(x), 1).requires_grad_()
    found = nats(of, x, given)
    [gradient] = torch.autograd.grad(found.sum(), given)
    assert found.isfinite().all()
    assert gradient.isfinite().all()
    assert (found >= -1e-6).all()


def test_the_logistic_learns_a_spread_that_the_binomial_does_not_have() -> None:
    """On greys spread over half the scale the binomial needs twice the bits of a flat guess."""
    x = (torch.randint(64, 192, (2000, 1), generator=seeded()) / 255).float()

    def best(of: Likelihood, *guesses: tuple[float, ...]) -> float:
        found = [nats(of, x, torch.tensor([guess]).expand(len(x), -1)).mean() for guess in guesses]
        return float(min(found)) / math.log(2)

    binomial = best(Binomial(255), *((logit / 10,) for logit in range(-10, 11)))
    logistic = best(Logistic(255), *((0.0, scale / 4) for scale in range(-8, 9)))
    assert logistic < 7.5
    assert binomial > 16


@pytest.mark.parametrize("of", BOTH, ids=lambda of: f"{type(of).__name__}-{of.top}")
def test_the_centre_is_an_image(of: Likelihood) -> None:
    given = torch.linspace(-3, 3, 8).view(2, 4).repeat(1, of.outputs)
    centre = of.centre(given)
    assert centre.shape == (2, 4)
    assert 0 <= float(centre.min()) < 0.5 < float(centre.max()) <= 1


def test_auto_goes_by_the_levels() -> None:
    """The digits' numbers are the binomial's; 256 levels under it say nothing of a model."""
    assert [type(likelihood("auto", n)) for n in (2, 17, FEW, FEW + 1, 256)] == [
        Binomial, Binomial, Binomial, Logistic, Logistic,
    ]  # fmt: skip
    assert type(likelihood("logistic", 17)) is Logistic
    assert type(likelihood("binomial", 256)) is Binomial
