"""Images: what a model says of held-out ones, and what its samples look like beside them.

``fd`` to ``score`` compare samples with held-out images in the feature space of
``training.features``. ``memorisation`` compares pixels, because to the feature net a copy with a
little noise on it is new: training digits with noise of 0.1 have a ratio of 1.04 in features and
0.63 in pixels.

A sample is what a person would be shown, ``model.sample``: for a VAE the mean of the likelihood at
a latent from the prior, clamped to [0, 1] and rounded to the levels of the data. (A draw from the
likelihood adds each pixel's own noise; on digits it moves fd no more than another seed does.)
As many are drawn as there are training images, 2,000 at most, so that each anchor is a set of the
same size.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from training import data
from training.data import Dataset, Spec
from training.errors import InputError
from training.features import feature_space
from training.metrics import Gate, anchors, distances
from training.metrics.distances import Array
from training.model import CountsUnits, Encodes, Model, Reconstructs, Samples, Scores

DRAWN = 2000
"""Images drawn, and held-out images they are compared with, at most."""

NEAREST = 500
"""Rows whose nearest training image is looked for, at most; their median settles early."""

CODED = 256
"""Levels at which pixels that may take any value are coded, for bits per dimension."""

IMPORTANCE_DRAWS = 16
"""Draws behind iwae16_bits_per_dim."""

MEMORISATION_ALARM = 0.7
"""Below this a model gives back its training images: copies have 0, copies with noise of 0.1 have
0.63, held-out images 1, the mixture (no copyist) 0.96."""

_BATCH = 500


class ImageJudge:
    """Measures models of images, (rows, channels, height, width)."""

    gate: ClassVar[Gate] = {"memorisation": {"min": MEMORISATION_ALARM}}

    def __init__(self, dataset: Dataset) -> None:
        """Embed the held-out images. Raises InputError where there are too few to judge by."""
        rows = data.count(dataset.train), data.count(dataset.test)
        fewest = distances.NEIGHBOURS + 1
        if min(rows) < fewest:
            raise InputError(
                f"there are {rows[0]} training and {rows[1]} held-out images; to judge by them"
                f" takes {fewest} of each, give more data"
            )
        self._spec: Spec = dataset.spec
        self._stored: Tensor = dataset.test["image"]
        self._train = self._fractions(dataset.train["image"])
        self._held_out = self._fractions(self._stored[:DRAWN])
        self._count = min(DRAWN, len(self._train))
        self._features = feature_space(self._spec.shape, self._spec.levels, self._train)
        self._real = self._features.embed(self._held_out)
        near = distances.nearest(self._held_out[:NEAREST], self._train)
        self._usual = float(np.median(near))

    @property
    def space(self) -> str:
        """Name of the feature space."""
        return self._features.name

    def cannot(self, model: Model) -> str:
        """Whether the model is of other images than these."""
        theirs, ours = model.spec, self._spec
        if (theirs.shape, theirs.levels) == (ours.shape, ours.levels):
            return ""
        return f"it models {_kind(theirs)}, and this data is {_kind(ours)}"

    def measure(self, model: Model, seed: int) -> dict[str, float]:
        """All that the model can be asked: likelihood, latents, samples."""
        found: dict[str, float] = {}
        if isinstance(model, Scores):
            found |= self._likelihood(model, seed)
        if isinstance(model, CountsUnits):
            found["active_units"] = float(model.active_units(self._stored))
        if isinstance(model, Samples):
            found |= self.compare(self._drawn(model, self._count, seed))
        return found

    def compare(self, drawn: Array) -> dict[str, float]:
        """Hold rows of pixels against held-out images; all numbers are NaN where a pixel is."""
        images = self.on_grid(drawn)
        finite = bool(np.isfinite(images).all())
        found = self._compared(images if finite else np.zeros_like(images))
        return found if finite else dict.fromkeys(found, math.nan)

    def anchors(self) -> dict[str, dict[str, float]]:
        """The numbers of the training images and of two trivial models; code lengths."""
        train, levels = self._train, self._spec.levels or CODED
        held_out = self._fractions(self._stored)
        pixels = self.compare(anchors.independent_pixels(train, self._count))
        return {
            # A training image is its own nearest; held-out ones define what is usual.
            "real": self.compare(train[: self._count]) | {"memorisation": 1.0},
            "gmm": self.compare(anchors.gaussian_mixture(train, self._count)),
            "pixels": pixels | {"bits_per_dim": anchors.pixel_bits(train, held_out, levels)},
            "uniform": {"bits_per_dim": math.log2(levels)},
        }

    def pictures(self, model: Model, seed: int, history: Mapping[str, Any], folder: Path) -> None:
        """Draw samples, reconstructions, interpolation and curves, whatever the model has."""
        from training.metrics import pictures

        shape = (-1, *self._spec.shape)
        real = self._held_out.reshape(shape)
        if isinstance(model, Samples):
            drawn = self.on_grid(self._drawn(model, pictures.SHOWN, seed)).reshape(shape)
            pictures.samples(folder, real, drawn)
        if isinstance(model, Reconstructs):
            pictures.reconstructions(folder, real, model, self._stored)
        if isinstance(model, Encodes):
            pictures.interpolation(folder, model, self._stored)
        pictures.curves(folder, history)

    def on_grid(self, drawn: Array) -> Array:
        """Clamp to [0, 1] and round to the levels of the data."""
        clamped = np.clip(drawn, 0, 1)
        top = self._spec.levels - 1
        return np.rint(clamped * top) / top if top > 0 else clamped

    def _likelihood(self, model: Scores, seed: int) -> dict[str, float]:
        """Means over every held-out image."""
        generator = torch.Generator().manual_seed(seed)
        totals: dict[str, float] = {}
        for part in torch.split(self._stored, _BATCH):
            for name, bits in model.bits_per_dim(part, IMPORTANCE_DRAWS, generator).items():
                totals[name] = totals.get(name, 0.0) + float(bits.double().sum())
        means = {name: total / len(self._stored) for name, total in totals.items()}
        if "iwae_bits_per_dim" in means:
            means[f"iwae{IMPORTANCE_DRAWS}_bits_per_dim"] = means.pop("iwae_bits_per_dim")
        return means

    def _drawn(self, model: Samples, count: int, seed: int) -> Array:
        images: Tensor = model.sample(count, torch.Generator().manual_seed(seed))
        rows: Array = images.flatten(1).numpy()
        return rows

    def _compared(self, images: Array) -> dict[str, float]:
        rows = self._features.embed(images)
        found = {
            "fd": distances.frechet_distance(rows, self._real),
            "kid": distances.kernel_distance(rows, self._real),
            **distances.manifolds(rows, self._real),
        }
        if self._features.classify:
            found["score"] = distances.classifier_score(self._features.classify(rows))
        if self._usual > 0:  # else held-out images are copies of training images themselves
            near = images[:NEAREST]
            found["memorisation"] = distances.memorisation(near, self._train, self._usual)
        return found

    def _fractions(self, stored: Tensor) -> Array:
        top = self._spec.levels - 1 if self._spec.levels else 1
        rows: Array = (stored.flatten(1).float() / top).numpy()
        return rows


def _kind(spec: Spec) -> str:
    levels = f"{spec.levels} levels" if spec.levels else "any values"
    return f"images of {'x'.join(map(str, spec.shape))} in {levels}"
