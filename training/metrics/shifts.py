"""Do two sets of rows come from one distribution? Tests of that, and how far apart the two lie.

    ks      two-sample Kolmogorov-Smirnov; its p-value is that of many rows, which is never too
            small for few, nor for values that occur often
    mmd     squared MMD, RBF kernel as wide as the median distance (Gretton et al. 2012)
    chi2    of a table of counts
    psi     population stability index over tenths of the first set: how far, whatever the chance

The p-values of mmd and chi2 are counted over permutations, so they hold for few rows as well.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from training.metrics.distances import Array, distances

Counts = npt.NDArray[np.int64]

BINS = 10
_AT_ONCE = 1000
"""Permutations held at once (8 MB for 1,000 rows)."""
_EXACT = 1e-12
"""Sums in another order differ by less; a permutation that comes to the same is no smaller."""


def psi(a: Array, b: Array) -> float:
    """Sum of (p - q) ln(p / q) over bins of equal share of ``a``, half a row added to each."""
    edges = np.unique(np.quantile(a, np.linspace(0, 1, BINS + 1)[1:-1]))
    p, q = (_shares(edges.searchsorted(x, "right"), len(edges) + 1) for x in (a, b))
    return float(((p - q) * np.log(p / q)).sum())


def ks(a: Array, b: Array) -> tuple[float, float]:
    """The largest gap between the distribution functions of two columns, and its p-value."""
    a, b = np.sort(a), np.sort(b)
    both = np.concatenate([a, b])
    gaps = a.searchsorted(both, "right") / len(a) - b.searchsorted(both, "right") / len(b)
    gap = float(np.abs(gaps).max())
    return gap, _kolmogorov(gap * math.sqrt(len(a) * len(b) / len(both)))


def mmd(a: Array, b: Array, permutations: int, rng: np.random.Generator) -> tuple[float, float]:
    """The squared MMD of two sets of rows, every pair counted, and its p-value."""
    kernel, weights = kernel_of(np.concatenate([a, b])), _weights(len(a), len(b))
    found = float(weights @ kernel @ weights)
    reached = 0
    for start in range(0, permutations, _AT_ONCE):
        count = min(_AT_ONCE, permutations - start)
        shuffled = rng.permuted(np.tile(weights, (count, 1)), axis=1)
        reached += int((((shuffled @ kernel) * shuffled).sum(1) >= found - _EXACT).sum())
    return found, (1 + reached) / (1 + permutations)


def witness(a: Array, b: Array) -> Array:
    """Of each row of ``b``, how much nearer it lies to ``b`` than to ``a``, in MMD's kernel."""
    kernel = kernel_of(np.concatenate([a, b]))
    nearer: Array = -(kernel @ _weights(len(a), len(b)))[len(a) :]
    return nearer


def chi2(a: Counts, b: Counts, permutations: int, rng: np.random.Generator) -> tuple[float, float]:
    """Pearson's statistic of two rows of counts, and its p-value."""
    pooled = a + b
    a, b, pooled = a[pooled > 0], b[pooled > 0], pooled[pooled > 0]
    drawn = rng.multivariate_hypergeometric(pooled, b.sum(), permutations, method="marginals")
    expected, fraction = pooled * (b.sum() / pooled.sum()), a.sum() / pooled.sum()

    def statistic(counts: Counts) -> Array:  # the other row is off by as much, the other way
        squares: Array = ((counts - expected) ** 2 / (expected * fraction)).sum(-1)
        return squares

    found = float(statistic(b))
    reached = int((statistic(drawn) >= found - _EXACT * max(1, found)).sum())
    return found, (1 + reached) / (1 + permutations)


def holm(p_values: list[float]) -> list[float]:
    """Adjust p-values for their number: below ``x`` any is by chance in a share ``x`` of cases."""
    order = np.argsort(p_values, kind="stable")
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, p_values[place] * (len(p_values) - rank)))
        adjusted[place] = highest
    return adjusted


def kernel_of(rows: Array) -> Array:
    """The RBF kernel of all pairs of rows, as wide as their median distance."""
    apart = distances(rows, rows)
    width = float(np.median(apart[np.triu_indices(len(rows), 1)])) or 1.0
    kernel: Array = np.exp(-(apart**2) / (2 * width**2))
    return kernel


def _weights(a: int, b: int) -> Array:
    return np.concatenate([np.full(a, 1 / a), np.full(b, -1 / b)])


def _shares(bins: npt.NDArray[np.intp], count: int) -> Array:
    counts = np.bincount(bins, minlength=count) + 0.5
    shares: Array = counts / counts.sum()
    return shares


def _kolmogorov(x: float) -> float:
    """Kolmogorov's distribution from ``x`` on."""
    if x < 0.2:  # where its series converges badly it is 1 to twelve digits
        return 1.0
    terms = (-((-1.0) ** k) * math.exp(-2 * k * k * x * x) for k in range(1, 101))
    return min(1.0, max(0.0, 2 * math.fsum(terms)))
