"""Have images drifted? Recent ones against a reference, one test for each thing told of them.

    embedding    mmd in the space of ``training.features``; of pca the axes of both sets together,
                 as axes fitted to one of them would themselves tell the two apart
    labels       chi2 of how often each class occurs, where both sets have labels
    mean, ...    ks and psi of a number of each image, see ``SUMMARIES``
    feature NN   the same of each coordinate of the embedding

All p-values are adjusted together by Holm. The tests decide; psi says how far.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from training import data
from training.data import Dataset, Spec
from training.errors import InputError
from training.features import FeatureSpace, feature_space
from training.metrics import shifts
from training.metrics.distances import Array

FEWEST = 50
"""Rows of either set: in a half of fewer, tenths hold two rows and say nothing."""
MOST = 5000
"""Rows of either set that are looked at, drawn by chance where there are more."""
PAIRED = 500
"""Rows of either set whose pairs mmd takes, at most."""
PSI = 0.2
"""Above it a distribution is commonly held to have moved for good."""

_OF_ANCHORS = 999
"""Permutations of an anchor's: nothing is decided by it."""

Whole = npt.NDArray[np.int64]


class Sample(NamedTuple):
    """Images (n, c, h, w) of values 0..1, their rows in the feature space, and their labels."""

    images: Array
    rows: Array
    labels: Whole | None

    def take(self, chosen: slice) -> Sample:
        """Some of them."""
        labels = None if self.labels is None else self.labels[chosen]
        return Sample(self.images[chosen], self.rows[chosen], labels)


class Shift(NamedTuple):
    """A statistic, its p-value, and the psi where there is one."""

    statistic: float
    p: float
    psi: float | None = None


@dataclass(frozen=True)
class Finding:
    """One test. ``adjusted`` is its p-value by Holm; ``anchor`` that of halves of the reference."""

    name: str
    test: str
    shift: Shift
    adjusted: float
    anchor: Shift


def _centre(images: Array, axis: int) -> Array:
    """Where the brightness lies along an axis, 0..1; in the middle of a black image."""
    along = images.mean(tuple({1, 2, 3} - {axis}))
    total = along.sum(1)
    places = np.linspace(0, 1, along.shape[1])
    centre: Array = np.where(total > 0, along @ places / np.where(total > 0, total, 1), 0.5)
    return centre


def _edges(images: Array) -> Array:
    """How much neighbours differ: blurring lowers it, and noise raises it."""
    steps = [np.abs(np.diff(images, axis=axis)).reshape(len(images), -1) for axis in (2, 3)]
    return np.concatenate(steps, 1).mean(1) if images[0, 0].size > 1 else np.zeros(len(images))


SUMMARIES: dict[str, Callable[[Array], Array]] = {
    "mean": lambda images: images.mean((1, 2, 3)),
    "contrast": lambda images: images.std((1, 2, 3)),
    "edges": _edges,
    "height": lambda images: _centre(images, 2),
    "side": lambda images: _centre(images, 3),
}


class Comparison:
    """Two data sets of the same form, ready to be compared; the same seed compares alike."""

    def __init__(self, reference: Dataset, recent: Dataset, seed: int) -> None:
        """Embed the training rows of the reference and every recent row. Raises InputError."""
        _require_alike(reference.spec, recent.spec)
        self.rng = np.random.default_rng(seed)
        self.labelled = bool(reference.spec.classes and recent.spec.classes)
        self.classes = tuple(dict.fromkeys(reference.spec.classes + recent.spec.classes))
        first = self._drawn("reference", reference.spec, [reference.train])
        second = self._drawn("recent", recent.spec, [recent.train, recent.test])
        both = np.concatenate([first[0], second[0]]).reshape(len(first[0]) + len(second[0]), -1)
        spec = reference.spec
        mixed = both[self.rng.permutation(len(both))]
        self.space: FeatureSpace = feature_space(spec.shape, spec.levels, mixed)
        rows = self.space.embed(both)
        self.reference = Sample(first[0], rows[: len(first[0])], first[1])
        self.recent = Sample(second[0], rows[len(first[0]) :], second[1])

    def findings(self, significance: float) -> list[Finding]:
        """Every test, with enough permutations that the strictest of them can be passed."""
        tests, often = self._tests(), self.permutations(significance)
        half = len(self.reference.rows) // 2
        halves = self.reference.take(slice(half)), self.reference.take(slice(half, None))
        found = [test.run(self.reference, self.recent, often) for test in tests]
        adjusted = shifts.holm([shift.p for shift in found])
        return [
            Finding(test.name, test.kind, shift, by_holm, test.run(*halves, _OF_ANCHORS))
            for test, shift, by_holm in zip(tests, found, adjusted, strict=True)
        ]

    def permutations(self, significance: float) -> int:
        """So many that a p-value can be half of what the strictest test asks for."""
        return math.ceil(2 * len(self._tests()) / significance)

    def strangest(self, count: int) -> tuple[Array, Array]:
        """Images of the reference by chance, and the recent ones that lie farthest from it."""
        first, second = (each.take(slice(PAIRED)) for each in (self.reference, self.recent))
        order = np.argsort(-shifts.witness(first.rows, second.rows), kind="stable")
        return first.images[:count], second.images[order[:count]]

    def _drawn(
        self, what: str, spec: Spec, parts: list[data.Columns]
    ) -> tuple[Array, Whole | None]:
        """Images in an order by chance, and their labels by ``classes``. Raises InputError."""
        pixels = torch.cat([part["image"] for part in parts])
        if len(pixels) < FEWEST:
            raise InputError(
                f"the {what} data, {spec.name}, have {len(pixels)} rows, and drift cannot be told "
                f"from chance in fewer than {FEWEST}; give more"
            )
        chosen = torch.from_numpy(self.rng.permutation(len(pixels))[:MOST])
        images = pixels[chosen].double().numpy() / (spec.levels - 1 if spec.levels else 1)
        if not self.labelled:
            return images, None
        numbers = np.array([self.classes.index(name) for name in spec.classes])
        return images, numbers[torch.cat([part["label"] for part in parts])[chosen].numpy()]

    def _tests(self) -> list[_Test]:
        def embedding(a: Sample, b: Sample, often: int) -> Shift:
            return Shift(*shifts.mmd(a.rows[:PAIRED], b.rows[:PAIRED], often, self.rng))

        def labels(a: Sample, b: Sample, often: int) -> Shift:
            first, second = (
                np.bincount(each.labels, minlength=len(self.classes)).astype(np.int64)
                for each in (a, b)
                if each.labels is not None
            )
            return Shift(*shifts.chi2(first, second, often, self.rng))

        return [
            _Test("embedding", "mmd", embedding),
            *([_Test("labels", "chi2", labels)] if self.labelled else []),
            *(_Test(name, "ks", _of(partial(_told, told))) for name, told in SUMMARIES.items()),
            *(
                _Test(f"feature {axis:02}", "ks", _of(partial(_feature, axis)))
                for axis in range(self.reference.rows.shape[1])
            ),
        ]


class _Test(NamedTuple):
    """How two samples are compared; it takes the number of permutations, too."""

    name: str
    kind: str
    run: Callable[[Sample, Sample, int], Shift]


def _told(summary: Callable[[Array], Array], sample: Sample) -> Array:
    return summary(sample.images)


def _feature(axis: int, sample: Sample) -> Array:
    column: Array = sample.rows[:, axis]
    return column


def _of(column: Callable[[Sample], Array]) -> Callable[[Sample, Sample, int], Shift]:
    def test(a: Sample, b: Sample, _often: int) -> Shift:
        first, second = column(a), column(b)
        return Shift(*shifts.ks(first, second), shifts.psi(first, second))

    return test


def _require_alike(reference: Spec, recent: Spec) -> None:
    forms = [(each.modality, each.shape, each.levels) for each in (reference, recent)]
    if forms[0] != forms[1]:
        raise InputError(
            f"the recent data, {recent.name}, are {_form(recent)}, and the reference, "
            f"{reference.name}, is {_form(reference)}; compare data of one form"
        )


def _form(spec: Spec) -> str:
    levels = f"{spec.levels} levels" if spec.levels else "any values"
    return f"{spec.modality}s of {'x'.join(map(str, spec.shape))} in {levels}"
