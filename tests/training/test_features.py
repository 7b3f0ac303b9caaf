"""The shipped net: its file is the one the code knows, and it knows digits."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from training import features
from training.errors import InputError


def test_the_shipped_net_reads_held_out_digits() -> None:
    images, labels = load_digits(return_X_y=True)
    _, held_out, _, truth = train_test_split(
        images / 16, labels, test_size=450, stratify=labels, random_state=0
    )
    space = features.digits_space()
    rows = space.embed(held_out)
    assert rows.shape == (450, 32)
    assert np.abs(rows).max() <= 1
    assert space.classify is not None
    probabilities = space.classify(rows)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    assert (probabilities.argmax(1) == truth).mean() > 0.98


def test_a_changed_net_is_refused(tmp_path: Path) -> None:
    raw = bytearray(features.DIGITS.read_bytes())
    raw[-1] ^= 1
    changed = tmp_path / "digits.safetensors"
    changed.write_bytes(raw)
    with pytest.raises(InputError, match=hashlib.sha256(raw).hexdigest()):
        features.digits_space(changed)


def test_a_lost_net_is_missed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is missing"):
        features.digits_space(tmp_path / "none")


def test_the_recipe_still_trains_a_net_as_good(monkeypatch: pytest.MonkeyPatch) -> None:
    from training.features import make

    monkeypatch.setattr(make, "EPOCHS", 6)  # a fifth of the work
    net, accuracy = make.trained_net(seed=1)
    assert accuracy > 0.95
    assert net.state_dict().keys() == features.digits_net().state_dict().keys()


def test_spaces_are_chosen_by_the_form_of_images_and_named_by_data() -> None:
    rng = np.random.default_rng(0)
    small, (one, other) = rng.random((50, 64)), rng.random((2, 50, 108))
    assert features.feature_space((1, 8, 8), 17, small).name == "digits-cnn-v1"
    assert features.feature_space((1, 8, 8), 256, small).name.startswith("pca-32-")
    first, second = (features.feature_space((3, 6, 6), 17, train) for train in (one, other))
    assert first.name.startswith("pca-32-")
    assert first.name != second.name
    assert first.classify is None
    assert first.embed(one).shape == (50, 32)


def test_images_are_embedded_alike_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.random.default_rng(0).random((20, 64))
    whole = features.digits_space().embed(images)
    monkeypatch.setattr(features, "_BATCH", 7)
    np.testing.assert_allclose(features.digits_space().embed(images), whole, atol=1e-5)
