"""A variational autoencoder (Kingma & Welling 2013, https://arxiv.org/abs/1312.6114).

An encoder gives each image a Gaussian over latents, q(z|x); a decoder gives each latent a
distribution over images, p(x|z); training raises the evidence lower bound

    log p(x) >= E_q[log p(x|z)] - KL(q(z|x) || N(0, 1))

p(x|z) is exact for the levels of each pixel (``training.models.likelihoods``): Binomial(16, p) on
digits, a discretised logistic on pictures of 256 levels. That makes the bound, over pixels and
log 2, bits per dimension: comparable with any other model of the same data, and beta = 1 the true
weight of the KL. Data without levels is read at 256 of them.

Shapes: B batch, D pixels of an image, Z latent, K draws from q.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from training.configs import VAEConfig
from training.data import Columns, Spec
from training.model import Graph, Model
from training.models.likelihoods import likelihood
from training.parallel import normal_like
from training.schedules import value

LEVELS = 256
"""Of data whose pixels may take any value in 0..1."""
ACTIVE = 0.01
"""A latent unit is active where its posterior mean varies by more (Burda et al. 2015)."""
DRAWS = 8
"""Draws from q that a served score averages over."""

_ACTIVATIONS = {"silu": nn.SiLU, "relu": nn.ReLU, "gelu": nn.GELU, "tanh": nn.Tanh}


class VAE(Model):
    """Encoder and decoder are mirrored MLPs: linear, layer norm, activation, dropout."""

    criterion = "bits_per_dim"
    config: VAEConfig

    def __init__(self, config: VAEConfig, spec: Spec) -> None:
        super().__init__(config, spec)
        self.pixels = math.prod(spec.shape)
        self.top = self.levels - 1
        self.encoder = _mlp(self.pixels, 2 * config.latent, config)
        self.likelihood = likelihood(config.likelihood, self.levels)
        self.decoder = _mlp(config.latent, self.likelihood.outputs * self.pixels, config)

    @property
    def levels(self) -> int:
        """Those of the data, or 256."""
        return self.spec.levels or LEVELS

    def prepare(self, rows: Columns) -> Columns:
        """Pixels as fractions of the top level, on its grid, and their constant in nats."""
        x_BD = self.fractions(rows["image"])
        return {"x": x_BD, "constant": self.likelihood.constant(x_BD)}

    def fractions(self, images: Tensor) -> Tensor:
        """Stored images as rows of fractions k / n."""
        stored_BD = images.flatten(1)
        whole = stored_BD.dtype == torch.uint8
        return (stored_BD if whole else torch.round(stored_BD * self.top)) / self.top

    def losses(self, batch: Columns, player: str, step: int) -> dict[str, Tensor]:  # noqa: ARG002
        """Nats per image: reconstruction is -log p(x|z) at one draw, kl is exact."""
        x_BD = batch["x"]
        mean_BZ, log_var_BZ = self.encode(x_BD)
        given = self.decoder(self.draw(mean_BZ, log_var_BZ))
        nats_B = self.likelihood.code_length(x_BD, given)
        reconstruction = nats_B.mean() - batch["constant"].mean()
        kl = self.divergence(mean_BZ, log_var_BZ).mean()
        loss = reconstruction + value(self.config.beta, step) * kl
        return {"loss": loss, "reconstruction": reconstruction, "kl": kl}

    def derived(self, means: dict[str, float]) -> dict[str, float]:
        """The bound in bits per pixel; unlike the loss it does not depend on beta."""
        nats = means["reconstruction"] + means["kl"]
        return {"bits_per_dim": nats / (self.pixels * math.log(2))}

    def encode(self, x_BD: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z|x)."""
        mean_BZ, log_var_BZ = self.encoder(x_BD).chunk(2, -1)
        return mean_BZ, log_var_BZ

    def draw(self, mean_BZ: Tensor, log_var_BZ: Tensor) -> Tensor:
        """Draw z from q(z|x) by moving noise, so that gradients pass."""
        return torch.addcmul(mean_BZ, normal_like(mean_BZ), (log_var_BZ / 2).exp())

    def divergence(self, mean_BZ: Tensor, log_var_BZ: Tensor) -> Tensor:
        """KL(q(z|x) || N(0, 1)) of each image in nats."""
        return 0.5 * (mean_BZ.square() + log_var_BZ.exp() - log_var_BZ - 1).sum(-1)

    def decode(self, z_BZ: Tensor) -> Tensor:
        """Images in 0..1, (B, *shape): the centre of p(x|z)."""
        return self.likelihood.centre(self.decoder(z_BZ)).reshape(-1, *self.spec.shape)

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Images in 0..1 for latents from the prior."""
        z_BZ = torch.randn(n, self.config.latent, generator=generator)  # alike on every device
        return self.decode(z_BZ.to(self._device()))

    @torch.no_grad()
    def reconstruct(self, images: Tensor) -> Tensor:
        """Stored images as the model remembers them, in 0..1: decoded from the mean of q."""
        return self.decode(self.encode(self.fractions(images))[0])

    @torch.no_grad()
    def bits_per_dim(
        self, images: Tensor, draws: int = 16, generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """Bits per pixel of each stored image: the bound, and importance weighting over draws.

        Burda et al. 2015 (https://arxiv.org/abs/1509.00519): the average of p(x, z) / q(z|x) over
        draws, within the logarithm, is nearer to the likelihood the more draws there are.
        """
        x_BD = self.fractions(images)
        mean_BZ, log_var_BZ = self.encode(x_BD)
        constant_B = self.likelihood.constant(x_BD)
        shape = (draws, *mean_BZ.shape)
        noise_KBZ = torch.randn(shape, generator=generator).to(x_BD.device)
        z_KBZ = mean_BZ + noise_KBZ * (log_var_BZ / 2).exp()
        nats_KB = self.likelihood.code_length(x_BD, self.decoder(z_KBZ)) - constant_B
        bound_B = nats_KB.mean(0) + self.divergence(mean_BZ, log_var_BZ)
        # log q(z|x) - log p(z): the terms of pi are the same in both.
        ratio_KB = 0.5 * (z_KBZ.square() - noise_KBZ.square() - log_var_BZ).sum(-1)
        weighted_B = math.log(draws) - torch.logsumexp(-nats_KB - ratio_KB, 0)
        scale = self.pixels * math.log(2)
        return {"bits_per_dim": bound_B / scale, "iwae_bits_per_dim": weighted_B / scale}

    @torch.no_grad()
    def active_units(self, images: Tensor) -> int:
        """How many latent units say something of these images."""
        mean_BZ, _ = self.encode(self.fractions(images))
        return int((mean_BZ.var(0) > ACTIVE).sum())

    def operations(self) -> dict[str, Graph]:
        """sample, reconstruct and score, on images in 0..1."""
        images = torch.zeros(1, *self.spec.shape)
        z, noise = torch.zeros(1, self.config.latent), torch.zeros(1, DRAWS, self.config.latent)
        return {
            "sample": Graph(_Sample(self), {"z": z}, "images"),
            "reconstruct": Graph(_Reconstruct(self), {"images": images}, "reconstructions"),
            "score": Graph(_Score(self), {"images": images, "noise": noise}, "bits_per_dim"),
        }

    def _device(self) -> torch.device:
        return next(self.parameters()).device


class _Served(nn.Module):
    """An operation of a VAE as a module of its own, for export."""

    def __init__(self, vae: VAE) -> None:
        super().__init__()
        self.vae = vae


class _Sample(_Served):
    def forward(self, z_BZ: Tensor) -> Tensor:
        return self.vae.decode(z_BZ)


class _Reconstruct(_Served):
    def forward(self, images: Tensor) -> Tensor:
        return self.vae.decode(self.vae.encode(images.flatten(1))[0])


class _Score(_Served):
    def forward(self, images: Tensor, noise_BKZ: Tensor) -> Tensor:
        vae = self.vae
        x_BD = images.flatten(1)
        mean_BZ, log_var_BZ = vae.encode(x_BD)
        z_BKZ = mean_BZ.unsqueeze(1) + noise_BKZ * (log_var_BZ / 2).exp().unsqueeze(1)
        nats_BK = vae.likelihood.code_length(x_BD.unsqueeze(1), vae.decoder(z_BKZ))
        constant_B = vae.likelihood.constant(x_BD)
        nats_B = nats_BK.mean(1) - constant_B + vae.divergence(mean_BZ, log_var_BZ)
        return nats_B / (vae.pixels * math.log(2))


def _mlp(inputs: int, outputs: int, config: VAEConfig) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(config.layers):
        layers += [nn.Linear(inputs, config.hidden), nn.LayerNorm(config.hidden)]
        layers.append(_ACTIVATIONS[config.activation]())
        layers += [nn.Dropout(config.dropout)] if config.dropout else []
        inputs = config.hidden
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))
