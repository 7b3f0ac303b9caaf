"""Which pictures of a model of images are drawn, and of what; ``training.figures`` draws them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from training import figures
from training.metrics.distances import Array
from training.model import Encodes, Reconstructs

SHOWN = 64
_REBUILT, _WALKS, _STEPS = 24, 6, 12

_QUANTITIES = {
    "reconstruction": "Reconstruction [nats/image]",
    "kl": "KL to the prior [nats/image]",
    "bits_per_dim": "Bound [bits/dim]",
}
"""Columns of a history that are drawn, where there are any of them; else its loss."""


def samples(folder: Path, real: Array, drawn: Array) -> None:
    """Write samples.png."""
    figures.samples(folder / "samples.png", real[:SHOWN], drawn)


def reconstructions(folder: Path, real: Array, model: Reconstructs, stored: Tensor) -> None:
    """Write reconstructions.png: held-out images over what the model makes of them."""
    rebuilt = model.reconstruct(stored[:_REBUILT]).numpy()
    figures.reconstructions(folder / "reconstructions.png", real[:_REBUILT], rebuilt)


@torch.no_grad()
def interpolation(folder: Path, model: Encodes, stored: Tensor) -> None:
    """Write interpolation.png: decoded lines between the latents of pairs of held-out images."""
    pairs = min(_WALKS, len(stored) // 2)
    latent, _ = model.encode(model.fractions(stored[: 2 * pairs]))
    start, end = latent[:pairs, None], latent[pairs:, None]
    along = torch.lerp(start, end, torch.linspace(0, 1, _STEPS)[None, :, None])
    walks = model.decode(along.flatten(0, 1)).numpy()
    figures.interpolation(
        folder / "interpolation.png", walks.reshape(pairs, _STEPS, *walks.shape[1:])
    )


def curves(folder: Path, history: Mapping[str, Any]) -> None:
    """Write curves.png from a history, unless it has nothing to draw."""
    parts = [part for part in ("train", "validation") if history.get(part, {}).get("step")]
    found = {name: _lines(history, parts, name) for name in _QUANTITIES}
    panels = {_QUANTITIES[name]: lines for name, lines in found.items() if lines}
    panels = panels or {"Loss": _lines(history, parts, "loss")}
    if any(panels.values()):
        best = history.get("best_step")
        figures.curves(folder / "curves.png", panels, "training step", best)


def _lines(
    history: Mapping[str, Any], parts: list[str], name: str
) -> dict[str, tuple[Array, Array]]:
    return {
        part: (np.asarray(history[part]["step"], float), np.asarray(history[part][name], float))
        for part in parts
        if len(history[part].get(name, ())) == len(history[part]["step"])
    }
