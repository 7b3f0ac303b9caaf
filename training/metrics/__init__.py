"""What is measured, and by whom.

``METRICS`` says of every number which way is better; ``MODALITIES`` names, for each kind of data,
the module that measures samples of it. Such a module has a ``Judge``:

    Judge(data)                          prepares what every model is held against, once
    Judge.space                          name of the space the numbers live in
    Judge.gate                           limits that hold for this kind of data whatever the recipe
    Judge.measure(model, seed) -> dict   numbers by name, as in METRICS
    Judge.anchors() -> dict of dicts     the same numbers of real data and of trivial models
    Judge.pictures(model, directory)     what a person looks at
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Metric:
    """One number: which way is better, what it says, how far it moves by chance."""

    better: Literal["lower", "higher"]
    says: str
    tolerance: float | None = None
    """How much worse than the champion a challenger may be, as a fraction of the champion's
    number; None: the two are not compared by it."""


METRICS = {
    "bits_per_dim": Metric(
        "lower", "bits per pixel value to code held-out data, by the bound (ELBO)", 0.01
    ),
    "iwae_bits_per_dim": Metric("lower", "the same by importance weighting, a tighter bound"),
    "active_units": Metric("higher", "latent units whose posterior mean varies by more than 0.01"),
    "fd": Metric("lower", "Frechet distance in features, samples to held-out data", 0.1),
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

MODALITIES = {"image": "training.metrics.image"}
