"""Which rows are held out: always the same ones for the same data and seed.

Labelled rows are split within each class, unlabelled images at random, text by its tail. The
first two give the very rows, in the same order, of scikit-learn's ``train_test_split``, whose
import would cost a second.
"""

from __future__ import annotations

import math

import numpy as np

from training.errors import InputError
from training.sources.examples import Labels, Rows, Split

SHARE = 0.2
"""Held out of images and of labelled rows."""
TAIL = 0.1
"""Held out of text, at its end."""


def given(train: int, test: int) -> Split:
    """The data's own split: the test rows follow the training rows.

    Each part is mixed, always alike: folders come sorted by class, and whoever judges by some of
    the rows takes the first ones.
    """
    rng = _random(0)
    return Split(rng.permutation(train), train + rng.permutation(test), "given")


def as_it_is(train: int, test: int) -> Split:
    """The same of what has an order of its own, as text has."""
    return Split(np.arange(train), np.arange(train, train + test), "given")


def split(labels: Labels | None, rows: int, seed: int, name: str) -> Split:
    """Hold out a fifth: of every class where there are labels. Raises InputError."""
    if rows < 2:
        raise InputError(f"{name} holds one row; at least two are needed, one to hold out")
    held_out = math.ceil(SHARE * rows)
    if labels is None:
        return shuffled(rows, held_out, seed)
    _require_pairs(labels, name)
    held_out = max(held_out, len(labels.classes))
    if rows - held_out < len(labels.classes):
        raise InputError(
            f"{name} holds {rows} rows of {len(labels.classes)} classes, too few to train on and "
            "hold out one of each; give more rows of a class, or fewer classes"
        )
    return stratified(labels.ids, held_out, seed)


def tail(rows: int, name: str) -> Split:
    """Hold out the last tenth, as nanoGPT does. Raises InputError."""
    kept = int(rows * (1 - TAIL))
    if kept == 0:
        raise InputError(f"{name} holds one row; at least two are needed, one to hold out")
    return Split(np.arange(kept), np.arange(kept, rows), "tail")


def shuffled(rows: int, held_out: int, seed: int) -> Split:
    """As ``train_test_split(test_size=held_out, random_state=seed)``."""
    order = _random(seed).permutation(rows)
    return Split(order[held_out:], order[:held_out], "shuffled", seed)


def stratified(labels: Rows, held_out: int, seed: int) -> Split:
    """As ``train_test_split(test_size=held_out, stratify=labels, random_state=seed)``."""
    rng = _random(seed)
    _, labels = np.unique(labels, return_inverse=True)
    counts = np.bincount(labels)
    for_train = _shares(counts, len(labels) - held_out, rng)
    for_test = _shares(counts - for_train, held_out, rng)
    of_class = np.split(np.argsort(labels, kind="stable"), np.cumsum(counts)[:-1])
    train: list[Rows] = []
    test: list[Rows] = []
    for rows, n, m in zip(of_class, for_train, for_test, strict=True):
        mixed = rows[rng.permutation(len(rows))]
        train.append(mixed[:n])
        test.append(mixed[n : n + m])
    kept = rng.permutation(np.concatenate(train))
    return Split(kept, rng.permutation(np.concatenate(test)), "stratified", seed)


def _shares(counts: Rows, total: int, rng: np.random.RandomState) -> Rows:
    """Share ``total`` out in proportion to ``counts``; ties for what is left are drawn."""
    exact = counts / counts.sum() * total
    shares: Rows = np.floor(exact).astype(np.int64)
    left = total - int(shares.sum())
    rest = exact - np.floor(exact)
    for value in np.unique(rest)[::-1]:
        if left == 0:
            break
        tied = np.flatnonzero(rest == value)
        chosen = rng.choice(tied, size=min(len(tied), left), replace=False)
        shares[chosen] += 1
        left -= len(chosen)
    return shares


def _random(seed: int) -> np.random.RandomState:
    if not 0 <= seed < 2**32:
        raise InputError(f"the seed is {seed}; it must be a whole number from 0 to {2**32 - 1}")
    return np.random.RandomState(seed)  # the old generator is frozen, and is scikit-learn's


def _require_pairs(labels: Labels, name: str) -> None:
    counts = np.bincount(labels.ids, minlength=len(labels.classes))
    for label, count in enumerate(counts):
        if count == 1:
            row = int(np.flatnonzero(labels.ids == label)[0])
            raise InputError(
                f"{name}: the class {labels.classes[label]} has one row, row {row}; a class needs "
                "two, to train on and to hold out: add rows or leave the class out"
            )
