"""The fixed nets in which images are judged: the same weights everywhere, or no number at all.

A distance between images means something only in a named feature space, so each measurement
carries the name of its space, and numbers of different spaces are never compared.

    digits-cnn-v1   8x8 grey images in 17 levels, the form of digits alone: a small classifier of
                    them, shipped beside this file (``digits.safetensors``, made by
                    ``training.features.make``)
    pca-32-*        any other images: the 32 principal axes of the training images at hand; the
                    name carries their fingerprint, as another data set has other axes
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from torch import nn

from training.errors import InputError
from training.metrics.anchors import principal_axes
from training.metrics.distances import Array

DIGITS = Path(__file__).with_name("digits.safetensors")
DIGITS_SHA256 = "45b0f6d1da196716c62605300faae23a25a3de5877ad259a86bf1b826d6a5e39"
DIGITS_SHAPE, DIGITS_LEVELS = (1, 8, 8), 17

_BATCH = 500


@dataclass(frozen=True)
class FeatureSpace:
    """Where images are compared. Images are rows of pixels (n, channels * height * width)."""

    name: str
    embed: Callable[[Array], Array]
    classify: Callable[[Array], Array] | None = None


def feature_space(shape: tuple[int, ...], levels: int, train: Array) -> FeatureSpace:
    """Choose the space for images of ``shape`` (channels, height, width) in [0, 1]."""
    digits = (shape, levels) == (DIGITS_SHAPE, DIGITS_LEVELS)
    return digits_space() if digits else pca_space(train)


def digits_space(weights: Path = DIGITS) -> FeatureSpace:
    """Load the shipped net. Raises InputError if its file is not the one this code knows."""
    try:
        raw = weights.read_bytes()
    except FileNotFoundError:
        lost = f"the feature net {weights} is missing; restore it from the repository"
        raise InputError(lost) from None
    found = hashlib.sha256(raw).hexdigest()
    if found != DIGITS_SHA256:
        raise InputError(
            f"the feature net {weights} has sha256 {found}, not {DIGITS_SHA256}: numbers made with"
            " it could be compared with no others; restore it from the repository"
        )
    net = digits_net()
    net.load_state_dict(safetensors.torch.load(raw))
    body, head = net[:-1], net[-1]

    def embed(images: Array) -> Array:
        return _run(body, images)

    def classify(features: Array) -> Array:
        with torch.no_grad():
            odds: Array = head(torch.from_numpy(features).float()).softmax(1).double().numpy()
        return odds

    return FeatureSpace("digits-cnn-v1", embed, classify)


def pca_space(train: Array, axes: int = 32, rows: int = 4000) -> FeatureSpace:
    """Principal axes of the training images, of the first ``rows`` where there are more."""
    mean, basis = principal_axes(train[:rows].astype(np.float64), axes)
    fingerprint = hashlib.sha256(train.astype(np.float32).tobytes()).hexdigest()[:8]
    name = f"pca-{basis.shape[1]}-{fingerprint}"
    return FeatureSpace(name, lambda images: (images.astype(np.float64) - mean) @ basis)


def digits_net() -> nn.Sequential:
    """Two convolutions and a 32-d tanh layer, whose output is the feature row; then ten logits."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(64 * 4 * 4, 32), nn.Tanh(),
        nn.Linear(32, 10),
    )  # fmt: skip


def _run(net: nn.Module, images: Array) -> Array:
    pixels = torch.from_numpy(images).float().view(-1, *DIGITS_SHAPE)
    with torch.no_grad():
        batches = [net(pixels[i : i + _BATCH]) for i in range(0, len(pixels), _BATCH)]
    rows: Array = torch.cat(batches).double().numpy()
    return rows
