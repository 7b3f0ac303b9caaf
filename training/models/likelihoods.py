"""What a decoder's numbers say of a pixel: exact probabilities of its levels k = 0..n.

``Binomial`` needs one number a pixel. It is the very process where a pixel counts (a digit's: how
many of 4x4 fine dots were inked), but spreads over sqrt(n) / 2 levels at most, 8 of 256.
``Logistic`` learns its spread, as a second number.

Both take pixels as fractions x = k / n, and give nats: ``code_length - constant`` is -log p of an
image. Shapes: B batch, D pixels of an image.
"""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

FEW = 32
"""Levels up to which "auto" means the binomial."""


class Likelihood(Protocol):
    """What a VAE asks of the distribution of its pixels."""

    outputs: int
    """Numbers that the decoder gives of each pixel."""

    def code_length(self, x_BD: Tensor, given: Tensor) -> Tensor:
        """-log p of each image in nats, but for the constant; ``given`` is (..., outputs x D)."""

    def constant(self, x_BD: Tensor) -> Tensor:
        """What of log p no parameter changes, of each image."""

    def centre(self, given: Tensor) -> Tensor:
        """The images that it lies around, (..., D) in 0..1."""


def likelihood(kind: str, levels: int) -> Likelihood:
    """The one of that name; "auto" goes by the levels."""
    few = levels <= FEW if kind == "auto" else kind == "binomial"
    return Binomial(levels - 1) if few else Logistic(levels - 1)


class Binomial:
    """log p(k) = log C(n, k) + k l - n softplus(l), for a decoder that gives the logit l.

    Binary cross-entropy on k / n would be n times too weak.
    """

    outputs = 1

    def __init__(self, top: int) -> None:
        self.top = top

    def code_length(self, x_BD: Tensor, given: Tensor) -> Tensor:
        """Without log C(n, k)."""
        return self.top * (F.softplus(given) - x_BD * given).sum(-1)

    def constant(self, x_BD: Tensor) -> Tensor:
        """The sum of log C(n, k) over an image's pixels."""
        k = torch.arange(self.top + 1.0, dtype=torch.float64)
        n = torch.tensor(float(self.top), dtype=torch.float64)
        choices = torch.lgamma(n + 1) - torch.lgamma(k + 1) - torch.lgamma(n - k + 1)
        table = choices.float().to(x_BD.device)
        return table[torch.round(x_BD * self.top).int()].sum(-1)

    def centre(self, given: Tensor) -> Tensor:
        """Its mean."""
        return torch.sigmoid(given)


class Logistic:
    """A logistic distribution, rounded to the levels: its mass from k - 1/2 to k + 1/2.

    Kingma et al. 2016 (https://arxiv.org/abs/1606.04934) and, with the tails given to the levels
    at both ends, Salimans et al. 2017 (https://arxiv.org/abs/1701.05517). With a centre m, a scale
    s, w = 1 / s and c = (k - m) w, that mass is the difference of two sigmoids; as a product,

        sigmoid(c + w/2) - sigmoid(c - w/2) = sigmoid(c + w/2) sigmoid(w/2 - c) (1 - exp(-w))

    it neither cancels nor needs a floor. The centre may lie beyond 0..n: so a pixel that is dark
    in every image costs nothing.
    """

    outputs = 2
    SCALE = 0.1
    """Of the levels, where the decoder says 0."""
    NARROWEST = 0.1
    """Least scale, in levels: a level then holds all but 1.3 % of the mass."""

    def __init__(self, top: int) -> None:
        self.top = top

    def code_length(self, x_BD: Tensor, given: Tensor) -> Tensor:
        """All of it: the constant is 0."""
        centre, log_scale = given.chunk(2, -1)
        k_BD = x_BD * self.top
        scale = (self.SCALE * self.top * log_scale.exp()).clamp(min=self.NARROWEST)
        w = 1 / scale
        c = (k_BD - self.top * (centre + 0.5)) * w
        below, above = F.softplus(-c - w / 2), F.softplus(c - w / 2)
        inner = torch.log(0.5 + 0.5 / torch.tanh(w / 2))  # -log(1 - exp(-w)), also for a small w
        nothing = torch.zeros_like(w)
        lowest, highest = k_BD < 0.5, k_BD > self.top - 0.5
        nats = below.where(~highest, nothing) + above.where(~lowest, nothing)
        return (nats + inner.where(~(lowest | highest), nothing)).sum(-1)

    def constant(self, x_BD: Tensor) -> Tensor:
        """None."""
        return torch.zeros_like(x_BD[:, 0])

    def centre(self, given: Tensor) -> Tensor:
        """Its median."""
        return (given.chunk(2, -1)[0] + 0.5).clamp(0, 1)
