"""scikit-learn's handwritten digits: 1,797 grey images of 8x8 in 17 levels, from its own file."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np

from training.errors import InputError
from training.sources import split
from training.sources.examples import Examples, Images, Labels

HELD_OUT, SEED = 450, 0
"""The split is fixed, whatever the run's seed: numbers of all runs compare."""


def read(file: Path) -> Examples:
    """Raises InputError at another file than scikit-learn's."""
    try:
        table = np.loadtxt(file, delimiter=",", dtype=np.uint8, ndmin=2)
    except (ValueError, EOFError, OSError, zlib.error) as error:
        raise InputError(f"{file} cannot be read: {error}; install scikit-learn anew") from None
    if table.shape != (1797, 65) or table[:, :64].max() > 16 or table[:, 64].max() > 9:
        raise InputError(f"{file} does not hold the 1,797 digits; install scikit-learn anew")
    labels = Labels(table[:, 64].astype(np.int64), tuple("0123456789"))
    return Examples(
        Images(table[:, :64].reshape(-1, 1, 8, 8), levels=17),
        labels,
        split.stratified(labels.ids, HELD_OUT, SEED),
    )
