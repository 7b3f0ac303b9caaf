"""What is measured, and by whom.

``METRICS`` says of every number which way is better; ``MODALITIES`` names, for each kind of data,
who measures models of it. Another kind is a line there and a class with what ``Judge`` has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from training.data import Dataset
    from training.model import Model

Values = Mapping[str, float]
Limit = Mapping[str, float | str]
Gate = Mapping[str, Limit]
"""Limits by metric: ``{"fd": {"max": 2.0}}``; a name instead of a number is that anchor's."""


@dataclass(frozen=True)
class Metric:
    """One number: which way is better, what it says, how far it moves by chance."""

    better: Literal["lower", "higher"]
    says: str
    tolerance: float | None = None
    """How much worse than the champion a challenger may be, as a fraction of the champion's
    number; None: the two are not compared by it. Over four trainings of
    the vae on digits, three sets of samples of each, the bound varies by 0.1 to 0.2 % (one standard
    deviation) and fd by 4 %."""


METRICS = {
    "bits_per_dim": Metric(
        "lower", "bits per pixel value to code held-out data, by the bound (ELBO)", 0.01
    ),
    "iwae16_bits_per_dim": Metric(
        "lower", "the same by importance weighting of 16 draws, a tighter bound"
    ),
    "active_units": Metric("higher", "latent units whose posterior mean varies by more than 0.01"),
    "fd": Metric("lower", "Frechet distance in features, samples to held-out data", 0.15),
    "kid": Metric("lower", "kernel distance of the same two, unbiased, x 1000; may fall below 0"),
    "precision": Metric("higher", "share of samples that lie among held-out data"),
    "recall": Metric("higher", "share of held-out data that lies among samples"),
    "density": Metric("higher", "how densely samples lie among held-out data; real data about 1"),
    "coverage": Metric("higher", "share of held-out data with a sample near"),
    "score": Metric("higher", "classes told clearly and drawn evenly; 1 up to their number"),
    "memorisation": Metric(
        "higher", "distance from samples to the training data; held-out data 1, copies 0"
    ),
}
"""Every number a judge may give, in the order in which people read them."""
ANCHORS = ("real", "gmm", "pixels", "uniform")
"""What a judge may measure beside the model: real data, a mixture, a pixel sampler, chance."""


class Judge(Protocol):
    """Holds what every model of one data set is measured against."""

    @property
    def space(self) -> str:
        """Name of the space that distances live in; those of two spaces do not compare."""

    @property
    def gate(self) -> Gate:
        """Limits that hold for this kind of data, whatever the recipe."""

    def cannot(self, model: Model) -> str:
        """Why this model cannot be measured on this data, as half a sentence; empty if it can."""

    def measure(self, model: Model, seed: int) -> dict[str, float]:
        """Numbers by name, as in METRICS; NaN where the model gave no finite ones."""

    def anchors(self) -> dict[str, dict[str, float]]:
        """The same numbers of real data and of trivial models, by the anchor's name."""

    def pictures(self, model: Model, seed: int, history: Mapping[str, Any], folder: Path) -> None:
        """Write what a person looks at into a folder."""


def _images(dataset: Dataset) -> Judge:
    from training.metrics.image import ImageJudge

    return ImageJudge(dataset)


MODALITIES: dict[str, Callable[[Dataset], Judge]] = {"image": _images}


def judge(dataset: Dataset) -> Judge:
    """Whoever measures models of this data."""
    return MODALITIES[dataset.spec.modality](dataset)
