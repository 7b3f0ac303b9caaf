"""Splits: the very rows of scikit-learn's, and what cannot be split."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from training.errors import InputError
from training.sources import catalogue, digits, split
from training.sources.examples import Images, Labels, Rows


def labelled(ids: Rows) -> Labels:
    return Labels(ids, tuple(str(name) for name in range(int(ids.max()) + 1)))


@given(
    counts=st.lists(st.integers(2, 40), min_size=2, max_size=12),
    share=st.floats(0, 1),
    seed=st.integers(0, 2**32 - 1),
)
@settings(deadline=None, max_examples=200)
def test_stratified_is_scikit_learns(counts: list[int], share: float, seed: int) -> None:
    ids = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    room = len(ids) - 2 * len(counts)
    held_out = len(counts) + round(share * room)
    train, test = train_test_split(
        np.arange(len(ids)), test_size=held_out, stratify=ids, random_state=seed
    )
    found = split.stratified(ids, held_out, seed)
    np.testing.assert_array_equal(found.train, train)
    np.testing.assert_array_equal(found.test, test)


@given(rows=st.integers(2, 500), seed=st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_shuffled_is_scikit_learns(rows: int, seed: int) -> None:
    found = split.split(None, rows, seed, "data")
    train, test = train_test_split(np.arange(rows), test_size=split.SHARE, random_state=seed)
    np.testing.assert_array_equal(found.train, train)
    np.testing.assert_array_equal(found.test, test)


def test_the_digits_are_scikit_learns_in_its_split() -> None:
    images, labels = load_digits(return_X_y=True)
    expected = train_test_split(images, labels, test_size=450, stratify=labels, random_state=0)
    file = catalogue.digits()
    assert file is not None
    found = digits.read(file)
    assert isinstance(found.content, Images)
    assert found.labels is not None
    pixels, ids = found.content.pixels.reshape(-1, 64), found.labels.ids
    assert found.content.levels == 17
    for rows, of, classes in zip(found.split[:2], expected[:2], expected[2:], strict=True):
        np.testing.assert_array_equal(pixels[rows], of)
        np.testing.assert_array_equal(ids[rows], classes)


@given(counts=st.lists(st.integers(2, 30), min_size=1, max_size=8), seed=st.integers(0, 99))
@settings(deadline=None)
def test_every_class_is_trained_on_and_no_row_is_lost(counts: list[int], seed: int) -> None:
    ids = np.repeat(np.arange(len(counts)), counts)
    found = split.split(labelled(ids), len(ids), seed, "data")
    assert sorted([*found.train, *found.test]) == list(range(len(ids)))
    assert set(ids[found.train]) == set(range(len(counts)))
    assert len(found.test) >= 0.2 * len(ids)


def test_the_tail_of_text_is_nano_gpts() -> None:
    found = split.tail(1_115_394, "input.txt")
    assert (len(found.train), len(found.test)) == (1_003_854, 111_540)
    assert found.test[0] == 1_003_854


@pytest.mark.parametrize(
    ("ids", "why"),
    [
        ([0], "data holds one row; at least two"),
        ([0, 0, 1, 0], "data: the class 1 has one row, row 2"),
    ],
)
def test_too_few_rows_are_refused(ids: list[int], why: str) -> None:
    with pytest.raises(InputError, match=why):
        split.split(labelled(np.array(ids)), len(ids), 0, "data")


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_out_of_range_is_refused(seed: int) -> None:
    with pytest.raises(InputError, match=f"the seed is {seed}; it must be"):
        split.split(None, 10, seed, "data")


def test_parts_that_come_sorted_are_mixed_and_stay_apart() -> None:
    """Folders come class by class, and metrics look at the first rows: they would see one class."""
    found = split.given(1000, 500)
    assert sorted(found.train.tolist()) == list(range(1000))
    assert sorted(found.test.tolist()) == list(range(1000, 1500))
    for rows, centre in ((found.train, 500), (found.test, 1250)):
        assert abs(rows[: len(rows) // 4].mean() - centre) < 50
    np.testing.assert_array_equal(found.test, split.given(1000, 500).test)
