"""Images: samples held against held-out and training images, in features and in pixels.

``fd`` to ``score`` compare in the feature space of ``training.features``. ``memorisation``
compares pixels, because to the feature net a copy with a little noise on it is new: training
digits with noise of 0.1 have a ratio of 1.04 in features and 0.63 in pixels.

What is drawn is what a person would be shown: ``model.sample``, for a VAE the mean of the
likelihood at a latent from the prior, clamped to [0, 1] and rounded to the levels that the data
knows. As many are drawn as there are training images, 2,000 at most, so that each anchor is a
set of the same size.
"""

from __future__ import annotations

import math
from typing import ClassVar, Protocol

import numpy as np

from training.errors import InputError
from training.features import feature_space
from training.metrics import anchors, distances
from training.metrics.distances import Array
from training.metrics.gate import Gate

DRAWN = 2000
"""Images drawn, and held-out images they are compared with, at most."""

NEAREST = 500
"""Rows whose nearest training image is looked for, at most; their median settles early."""

MEMORISATION_ALARM = 0.7
"""Below this a model gives back its training images: copies have 0, copies with noise of 0.1 have
0.63, held-out images 1, the mixture (no copyist) 0.96."""


class Pixels(Protocol):
    """What a judge of images needs to know of a data set."""

    train: Array
    """Rows of pixels in [0, 1]."""
    held_out: Array
    shape: tuple[int, int, int]
    """Channels, height, width: what a row is."""
    levels: int
    """How many values a pixel may take; 0: any."""


class Judge:
    """Holds what every model of one data set is measured against."""

    gate: ClassVar[Gate] = {"memorisation": {"min": MEMORISATION_ALARM}}

    def __init__(self, data: Pixels) -> None:
        """Embed the held-out images. Raises InputError where there are too few to judge by."""
        fewest = distances.NEIGHBOURS + 1
        if min(len(data.held_out), len(data.train)) < fewest:
            raise InputError(
                f"there are {len(data.train)} training and {len(data.held_out)} held-out images"
                f"; to judge by them takes {fewest} of each, give more data"
            )
        self._data = data
        self._count = min(DRAWN, len(data.train))
        self._held_out = data.held_out[:DRAWN]
        self._space = feature_space(data.shape, data.train)
        self._real = self._space.embed(self._held_out)
        self._usual = float(np.median(distances.nearest(self._held_out[:NEAREST], data.train)))

    @property
    def space(self) -> str:
        """Name of the feature space that the numbers live in."""
        return self._space.name

    @property
    def count(self) -> int:
        """How many images to draw."""
        return self._count

    def measure(self, drawn: Array) -> dict[str, float]:
        """Measure images given as rows; all numbers are NaN where a pixel is none."""
        images = self.on_grid(drawn)
        finite = bool(np.isfinite(images).all())
        found = self._compared(images if finite else np.zeros_like(images))
        return found if finite else dict.fromkeys(found, math.nan)

    def anchors(self) -> dict[str, dict[str, float]]:
        """The same numbers of the training images and of two trivial models; code lengths."""
        train, levels = self._data.train, self._data.levels
        found = {
            "real": self.measure(train[: self._count]) | {"memorisation": 1.0},  # held-out images'
            "pixels": self.measure(anchors.independent_pixels(train, self._count)),
            "gmm": self.measure(anchors.gaussian_mixture(train, self._count)),
        }
        if levels:
            found["uniform"] = {"bits_per_dim": math.log2(levels)}
            found["pixels"]["bits_per_dim"] = anchors.pixel_bits(train, self._data.held_out, levels)
        return found

    def on_grid(self, drawn: Array) -> Array:
        """Clamp to [0, 1] and round to the levels of the data."""
        clamped = np.clip(drawn, 0, 1)
        top = self._data.levels - 1
        return np.rint(clamped * top) / top if top > 0 else clamped

    def _compared(self, images: Array) -> dict[str, float]:
        rows = self._space.embed(images)
        found = {
            "fd": distances.frechet_distance(rows, self._real),
            "kid": distances.kernel_distance(rows, self._real),
            **distances.manifolds(rows, self._real),
        }
        if self._space.classify:
            found["score"] = distances.classifier_score(self._space.classify(rows))
        if self._usual > 0:  # else held-out images are copies of training images themselves
            near = images[:NEAREST]
            found["memorisation"] = distances.memorisation(near, self._data.train, self._usual)
        return found
