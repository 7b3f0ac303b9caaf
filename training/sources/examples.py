"""What every source gives back: the content, its labels, and which rows are held out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Rows = npt.NDArray[np.int64]


class Images(NamedTuple):
    """Pixels as (n, channels, height, width): whole numbers 0..levels-1, or floats in 0..1.

    ``levels`` is how many values a pixel may take; 0: any in 0..1.
    """

    pixels: Array
    levels: int


class Texts(NamedTuple):
    """Texts in order; the rows of one corpus, joined, are that corpus."""

    texts: list[str]


class Labels(NamedTuple):
    """The class of each row, as a place in ``classes``."""

    ids: Rows
    classes: tuple[str, ...]


class Split(NamedTuple):
    """Which rows to train on and which to hold out, and how they were chosen."""

    train: Rows
    test: Rows
    how: Literal["given", "stratified", "shuffled", "tail"]
    seed: int | None = None
    """What chose them, where chance did."""


@dataclass(frozen=True)
class Examples:
    """A data set, checked."""

    content: Images | Texts
    labels: Labels | None
    split: Split
    notes: tuple[str, ...] = ()
    """What a person should know of it."""
