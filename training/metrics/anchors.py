"""Models so simple that a deep one must beat them, or be shown beside them.

A number means nothing alone: a Frechet distance of 1.7 looks small until a pixel histogram, or a
mixture fitted in a fraction of a second, is measured in the same way. All are computed from the
training images alone, with a seed of their own, so the same data gives the same anchors.
Images are rows (n, pixels) with values in [0, 1].
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from training.metrics.distances import Array, distances

SEED = 0
FITTED = 4000
"""Training rows that the mixture is fitted to, at most."""


def independent_pixels(train: Array, n: int) -> Array:
    """Draw every pixel for itself from the values it takes: right margins, no structure."""
    rng = np.random.default_rng(SEED)
    pixels = train.shape[1]
    return train[rng.integers(len(train), size=(n, pixels)), np.arange(pixels)]


def pixel_bits(train: Array, held_out: Array, levels: int) -> float:
    """Bits per pixel to code held-out images by each pixel's histogram, one added to all counts."""
    counts = 1 + _histograms(train, levels)
    bits = -np.log2(counts / counts.sum(1, keepdims=True))
    return float((_histograms(held_out, levels) * bits).sum() / held_out.size)


def _histograms(images: Array, levels: int) -> npt.NDArray[np.int64]:
    """How often each pixel takes each level, (pixels, levels)."""
    pixels = images.shape[1]
    cells = np.rint(images * (levels - 1)).astype(np.int64) + levels * np.arange(pixels)
    return np.bincount(cells.ravel(), minlength=pixels * levels).reshape(pixels, levels)


def gaussian_mixture(train: Array, n: int, components: int = 40, axes: int = 30) -> Array:
    """Sample a full-covariance mixture fitted by EM in the space of the first principal axes."""
    rng = np.random.default_rng(SEED)
    train = train[:FITTED].astype(np.float64)
    mean, basis = principal_axes(train, axes)
    x = (train - mean) @ basis
    weights, centres, covariances = fit_mixture(x, min(components, len(x) // 8 + 1), rng)
    chosen = rng.choice(len(weights), size=n, p=weights)
    noise = rng.standard_normal((n, x.shape[1]))
    spread = np.linalg.cholesky(covariances)[chosen]  # (n, d, d)
    drawn: Array = (centres[chosen] + np.einsum("nij,nj->ni", spread, noise)) @ basis.T + mean
    return drawn


def principal_axes(rows: Array, axes: int) -> tuple[Array, Array]:
    """Return the mean row and the leading axes as columns, by the smaller Gram matrix."""
    mean = rows.mean(0)
    centred = rows - mean
    axes = min(axes, *rows.shape)
    if rows.shape[1] <= rows.shape[0]:
        basis = np.linalg.eigh(centred.T @ centred)[1]
    else:
        basis = centred.T @ np.linalg.eigh(centred @ centred.T)[1][:, -axes:]
        basis /= np.maximum(np.linalg.norm(basis, axis=0), 1e-12)
    return mean, basis[:, : -axes - 1 : -1]


def fit_mixture(
    x: Array, components: int, rng: np.random.Generator, rounds: int = 5
) -> tuple[Array, Array, Array]:
    """EM for a Gaussian mixture: weights (k,), centres (k, d) and covariances (k, d, d).

    Written out because importing scikit-learn's costs a second, as much as all else here.
    """
    pad = 1e-6 * np.eye(x.shape[1])
    share = _clusters(x, components, rng)  # (n, k), rows sum to 1
    for _ in range(rounds):
        counts = share.sum(0) + 1e-9
        centres = share.T @ x / counts[:, None]
        around = x - centres[:, None]  # (k, n, d)
        covariances = (around * share.T[:, :, None]).transpose(0, 2, 1) @ around
        covariances = covariances / counts[:, None, None] + pad
        whiten = np.linalg.inv(np.linalg.cholesky(covariances))
        squares = ((around @ whiten.transpose(0, 2, 1)) ** 2).sum(2)
        volumes = np.log(np.diagonal(whiten, axis1=1, axis2=2)).sum(1)
        log_joint = (np.log(counts / len(x)) + volumes)[:, None] - squares / 2
        share = np.exp(log_joint - np.logaddexp.reduce(log_joint)).T
    return counts / counts.sum(), centres, covariances


def _clusters(x: Array, k: int, rng: np.random.Generator, rounds: int = 10) -> Array:
    """Assign by k-means from k-means++ seeds, as (n, k) of zeros and ones."""
    centres = x[[rng.integers(len(x))]]
    for _ in range(k - 1):
        odds = distances(x, centres).min(1) ** 2 + 1e-12  # rows may be all alike
        centres = np.vstack([centres, x[rng.choice(len(x), p=odds / odds.sum())]])
    share: Array = np.zeros((len(x), k))
    for _ in range(rounds):
        share = np.eye(k)[distances(x, centres).argmin(1)]
        counts = share.sum(0)
        means = share.T @ x / np.maximum(counts, 1)[:, None]
        centres = np.where(counts[:, None] > 0, means, centres)
    return share
