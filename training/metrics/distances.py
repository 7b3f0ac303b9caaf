"""What is measured on images, given their rows in the feature space of ``training.features``.

Every function takes feature rows (n, d) and gives one number. Shapes: f features of generated
images, r of held-out real ones, t of the training images.

    fd                   Frechet distance of two Gaussians (Heusel et al. 2017, there on Inception)
    kid                  squared MMD, cubic kernel, unbiased, x 1000 (Binkowski et al. 2018)
    precision, recall    k-NN manifolds (Kynkaanniemi et al. 2019)
    density, coverage    their robust successors (Naeem et al. 2020)
    score                exp of the mean KL between p(y|x) and p(y) (Salimans et al. 2016)
    memorisation         how far samples keep from the training images, held-out ones being 1
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating[Any]]

NEIGHBOURS = 5
"""k of precision, recall, density and coverage, as Naeem et al. choose it."""

_BLOCK = 1 << 22
"""Distances held at once (32 MiB), so that a large training set costs time, not memory."""


def frechet_distance(a: Array, b: Array) -> float:
    """|mean a - mean b|^2 + tr(A + B - 2 (A B)^1/2), A and B the covariances."""
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    values, vectors = np.linalg.eigh(cov_a)
    root_a = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    # A B has the eigenvalues of the symmetric A^1/2 B A^1/2, whose roots are real.
    roots = np.sqrt(np.maximum(np.linalg.eigvalsh(root_a @ cov_b @ root_a), 0))
    shift = a.mean(0) - b.mean(0)
    return float(shift @ shift + np.trace(cov_a) + np.trace(cov_b) - 2 * roots.sum())


def kernel_distance(a: Array, b: Array) -> float:
    """KID x 1000 over all pairs, without the diagonal: zero on average for equal distributions."""

    def kernel(x: Array, y: Array) -> Array:
        cubes: Array = (x @ y.T / x.shape[1] + 1) ** 3
        return cubes

    def within(x: Array) -> float:
        k = kernel(x, x)
        return float((k.sum() - np.trace(k)) / (len(x) * (len(x) - 1)))

    return 1000 * (within(a) + within(b) - 2 * float(kernel(a, b).mean()))


def manifolds(fake: Array, real: Array, k: int = NEIGHBOURS) -> dict[str, float]:
    """Precision, recall, density and coverage of ``fake`` against ``real``.

    A row's ball reaches to its k-th nearest neighbour in its own set.
    """
    fake_balls, real_balls = _radii(fake, k), _radii(real, k)
    apart = distances(fake, real)
    return {
        "precision": float((apart < real_balls).any(1).mean()),
        "recall": float((apart < fake_balls[:, None]).any(0).mean()),
        "density": float((apart < real_balls).sum(1).mean() / k),
        "coverage": float((apart.min(0) < real_balls).mean()),
    }


def memorisation(fake: Array, train: Array, usual: float) -> float:
    """Median distance of samples to their nearest training row, over the ``usual`` one.

    With that of held-out rows as the usual one it is near 1 for new images of the same kind and
    0 for copies.
    """
    return float(np.median(nearest(fake, train))) / usual


def classifier_score(probabilities: Array) -> float:
    """Exp of the mean KL from each row to the mean row: 1 (all alike) up to the class count."""
    p = np.maximum(probabilities, 1e-12)
    return float(np.exp((p * np.log(p / p.mean(0))).sum(1).mean()))


def distances(a: Array, b: Array) -> Array:
    """Euclidean distances, (len(a), len(b)). Equal rows may come out near 1e-7, not 0."""
    squares: Array = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
    np.sqrt(np.maximum(squares, 0, out=squares), out=squares)
    return squares


def nearest(rows: Array, among: Array) -> Array:
    """Distance from each row to its nearest one ``among``: exactly 0 where it is the same."""
    step = max(1, _BLOCK // len(among))
    blocks = (rows[i : i + step] for i in range(0, len(rows), step))
    return np.concatenate([_apart(block, among) for block in blocks])


def _apart(rows: Array, among: Array) -> Array:
    found: Array = np.linalg.norm(rows - among[distances(rows, among).argmin(1)], axis=1)
    return found


def _radii(rows: Array, k: int) -> Array:
    """Distance from each row to its k-th nearest neighbour, itself not counted."""
    ordered: Array = np.partition(distances(rows, rows), k, axis=1)
    radii: Array = ordered[:, k]
    return radii
