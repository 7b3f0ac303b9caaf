"""The numbers: against closed forms, other people's implementations, and sets made to fail."""

from typing import Any

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.random import Generator
from sklearn.mixture import GaussianMixture

from training.metrics import anchors
from training.metrics.distances import (
    Array,
    classifier_score,
    frechet_distance,
    kernel_distance,
    manifolds,
    memorisation,
    nearest,
)


@pytest.fixture
def rng() -> Generator:
    return np.random.default_rng(0)


def correlated(rng: Generator, n: int, d: int, shift: float = 0.0) -> Array:
    found: Array = rng.standard_normal((n, d)) @ rng.standard_normal((d, d)) + shift
    return found


# Frechet distance


def test_frechet_distance_of_two_gaussians_is_the_closed_form(rng: Generator) -> None:
    white = np.linalg.qr(rng.standard_normal((500, 3)) - 0)[0]
    white = (white - white.mean(0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(white.T)).T)
    a = white * [1.0, 2.0, 3.0]
    b = white * [2.0, 2.0, 0.5] + [1.0, 0.0, -2.0]
    expected = 1 + 4 + (2 - 1) ** 2 + (3 - 0.5) ** 2  # commuting covariances: sum of squares
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_equals_the_matrix_square_root(rng: Generator) -> None:
    a, b = correlated(rng, 300, 8), correlated(rng, 200, 8, shift=0.5)
    cov_a, cov_b = np.cov(a.T), np.cov(b.T)
    root = scipy.linalg.sqrtm(cov_a @ cov_b).real
    shift = ((a.mean(0) - b.mean(0)) ** 2).sum()
    assert frechet_distance(a, b) == pytest.approx(
        shift + np.trace(cov_a + cov_b - 2 * root), rel=1e-8
    )


def test_frechet_distance_bears_a_collapsed_set(rng: Generator) -> None:
    spread = rng.standard_normal((100, 4))
    point = np.ones((50, 4))
    expected = ((spread.mean(0) - 1) ** 2).sum() + np.trace(np.cov(spread.T))
    assert frechet_distance(point, spread) == pytest.approx(expected)


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_frechet_distance_is_a_distance(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = correlated(rng, 40, 5), correlated(rng, 60, 5)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-6)
    assert frechet_distance(a, b) >= -1e-9
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-6)


# Kernel distance


def test_kernel_distance_is_the_mean_over_pairs(rng: Generator) -> None:
    a, b = rng.standard_normal((7, 3)), rng.standard_normal((5, 3))

    def k(x: Array, y: Array) -> float:
        return float(x @ y / 3 + 1) ** 3

    within_a = np.mean([k(a[i], a[j]) for i in range(7) for j in range(7) if i != j])
    within_b = np.mean([k(b[i], b[j]) for i in range(5) for j in range(5) if i != j])
    across = np.mean([k(x, y) for x in a for y in b])
    assert kernel_distance(a, b) == pytest.approx(1000 * (within_a + within_b - 2 * across))


def test_kernel_distance_of_equal_distributions_is_zero_on_average(rng: Generator) -> None:
    found = [
        kernel_distance(rng.standard_normal((40, 4)), rng.standard_normal((60, 4)))
        for _ in range(300)
    ]
    standard_error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found)) < 3 * standard_error
    assert min(found) < 0  # an estimate that could not fall below zero would be biased
    shifted = kernel_distance(rng.standard_normal((400, 4)) + 0.3, rng.standard_normal((400, 4)))
    assert shifted > 10 * standard_error


# Precision, recall, density, coverage


def direct_manifolds(fake: Array, real: Array, k: int) -> dict[str, Any]:
    """By the definitions, a loop at a time, as an independent reading of the two papers."""

    def apart(a: Array, b: Array) -> float:
        return float(np.linalg.norm(a - b))

    def radius(rows: Array, row: Array) -> float:
        return sorted(apart(row, other) for other in rows)[k]

    in_real = [[apart(f, r) < radius(real, r) for r in real] for f in fake]
    in_fake = [[apart(f, r) < radius(fake, f) for f in fake] for r in real]
    nearest_fake = [min(apart(r, f) for f in fake) for r in real]
    return {
        "precision": np.mean([any(row) for row in in_real]),
        "recall": np.mean([any(row) for row in in_fake]),
        "density": np.mean([sum(row) / k for row in in_real]),
        "coverage": np.mean(
            [near < radius(real, r) for near, r in zip(nearest_fake, real, strict=True)]
        ),
    }


def test_manifolds_follow_the_definitions(rng: Generator) -> None:
    fake, real = rng.standard_normal((25, 2)) * 1.5, rng.standard_normal((20, 2))
    assert manifolds(fake, real, k=3) == pytest.approx(direct_manifolds(fake, real, 3))


def test_copies_of_the_real_rows_score_full_marks(rng: Generator) -> None:
    real = rng.standard_normal((100, 3))
    found = manifolds(real, real)
    assert (found["precision"], found["recall"], found["coverage"]) == (1, 1, 1)
    assert found["density"] == pytest.approx(1, abs=0.1)


def test_collapse_keeps_precision_and_loses_recall_and_coverage(rng: Generator) -> None:
    real = rng.standard_normal((200, 3))
    found = manifolds(real[0] + 1e-3 * rng.standard_normal((200, 3)), real)
    assert found["precision"] == 1
    assert found["recall"] < 0.01
    assert found["coverage"] < 0.05


def test_far_samples_have_nothing(rng: Generator) -> None:
    real = rng.standard_normal((100, 3))
    found = manifolds(rng.standard_normal((100, 3)) + 50, real)
    assert set(found.values()) == {0}


def test_nearest_in_blocks_equals_nearest_at_once(
    rng: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, among = rng.standard_normal((50, 4)), rng.standard_normal((70, 4))
    whole = nearest(rows, among)
    monkeypatch.setattr("training.metrics.distances._BLOCK", 200)
    np.testing.assert_array_equal(nearest(rows, among), whole)


# Score and memorisation


def test_classifier_score_runs_from_one_to_the_class_count() -> None:
    even = np.eye(10)[np.arange(50) % 10]
    assert classifier_score(even) == pytest.approx(10, rel=1e-6)
    assert classifier_score(np.tile(even[:1], (50, 1))) == pytest.approx(1, rel=1e-6)
    assert classifier_score(np.full((50, 10), 0.1)) == pytest.approx(1)


def test_memorisation_is_one_for_new_rows_and_zero_for_copies(rng: Generator) -> None:
    train, held_out, new = rng.standard_normal((3, 400, 6))
    usual = float(np.median(nearest(held_out, train)))
    assert memorisation(new, train, usual) == pytest.approx(1, abs=0.1)
    assert memorisation(train, train, usual) == pytest.approx(0, abs=1e-6)


# Anchors


def test_mixture_fits_as_well_as_scikit_learns(rng: Generator) -> None:
    centres = rng.standard_normal((4, 3)) * 6
    x = np.concatenate([centre + correlated(rng, 200, 3) * 0.3 for centre in centres])
    reference = GaussianMixture(4, random_state=0, n_init=3).fit(x)
    scores = []
    for _ in range(3):
        weights, means, covariances = anchors.fit_mixture(x, 4, rng)
        ours = GaussianMixture(4)  # their density of our parameters
        ours.weights_, ours.means_, ours.covariances_ = weights, means, covariances
        ours.precisions_cholesky_ = np.linalg.cholesky(np.linalg.inv(covariances))
        scores.append(ours.score(x))
    assert max(scores) == pytest.approx(reference.score(x), abs=0.01)


def test_mixture_bears_rows_that_are_all_alike() -> None:
    drawn = anchors.gaussian_mixture(np.full((40, 9), 0.5), 10)
    np.testing.assert_allclose(drawn, 0.5, atol=0.02)


@pytest.mark.parametrize("rows", [20, 200])
def test_principal_axes_equal_the_singular_vectors(rng: Generator, rows: int) -> None:
    x = correlated(rng, rows, 50)
    mean, basis = anchors.principal_axes(x, 5)
    reference = np.linalg.svd(x - mean, full_matrices=False)[2][:5]
    np.testing.assert_allclose(np.abs(basis.T @ reference.T), np.eye(5), atol=1e-6)


def test_pixel_sampler_keeps_each_margin_and_no_structure(rng: Generator) -> None:
    train = np.repeat(rng.integers(0, 2, (2000, 1)), 3, axis=1).astype(float)  # all pixels alike
    drawn = anchors.independent_pixels(train, 4000)
    np.testing.assert_allclose(drawn.mean(0), train.mean(0), atol=0.05)
    assert np.abs(np.atleast_2d(np.corrcoef(drawn.T))[0, 1:]).max() < 0.05


def test_pixel_bits_are_the_cross_entropy_of_smoothed_histograms() -> None:
    train = np.array([[0.0, 1.0], [0.0, 1.0], [1.0, 1.0]])
    held_out = np.array([[0.0, 0.0]])
    # pixel 0: (2 + 1) / (3 + 2) for level 0; pixel 1: (0 + 1) / (3 + 2)
    assert anchors.pixel_bits(train, held_out, 2) == pytest.approx(-np.log2([3 / 5, 1 / 5]).mean())
