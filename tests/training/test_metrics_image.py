"""The judge of images, on the real digits and on what is made to fail."""

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch
from numpy.random import Generator

from training.data import Columns, Dataset, Spec
from training.errors import InputError
from training.metrics import METRICS, anchors, image
from training.metrics.distances import Array
from training.metrics.image import ImageJudge
from training.model import Model


@pytest.fixture
def rng() -> Generator:
    return np.random.default_rng(0)


def dataset_of(train: Array, held_out: Array, shape: tuple[int, ...], levels: int) -> Dataset:
    """Rows of pixels in 0..1, stored as prepare stores them."""

    def stored(rows: Array) -> Columns:
        pixels = torch.from_numpy(np.rint(rows * (levels - 1)) if levels else rows)
        kind = torch.uint8 if levels else torch.float32
        return {"image": pixels.to(kind).view(-1, *shape)}

    spec = Spec("made", "image", shape, levels, (), "")
    return Dataset(spec, stored(train), stored(held_out))


@pytest.fixture(scope="module")
def digits() -> SimpleNamespace:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    data = load_digits()
    train, held_out, labels, _ = train_test_split(
        data.data / 16, data.target, test_size=450, stratify=data.target, random_state=0
    )
    dataset = dataset_of(train, held_out, (1, 8, 8), 17)
    return SimpleNamespace(train=train, labels=labels, dataset=dataset)


@pytest.fixture(scope="module")
def judge(digits: SimpleNamespace) -> ImageJudge:
    return ImageJudge(digits.dataset)


def test_anchors_of_digits(judge: ImageJudge) -> None:
    found = judge.anchors()
    assert found == judge.anchors()  # the same data gives the same anchors
    real, pixels, gmm = found["real"], found["pixels"], found["gmm"]
    assert real["fd"] == pytest.approx(0.10, abs=0.02)
    assert gmm["fd"] == pytest.approx(0.18, abs=0.06)
    assert pixels["fd"] == pytest.approx(4.5, abs=0.3)
    assert real["kid"] < 0 < pixels["kid"]
    assert real["score"] > 9.3
    assert real["coverage"] > 0.99
    assert pixels["bits_per_dim"] == pytest.approx(2.438, abs=0.001)
    assert found["uniform"]["bits_per_dim"] == pytest.approx(np.log2(17))
    assert {name for numbers in found.values() for name in numbers} <= METRICS.keys()


def test_copied_training_images_raise_the_memorisation_alarm(
    judge: ImageJudge, digits: SimpleNamespace, rng: Generator
) -> None:
    limit = image.MEMORISATION_ALARM
    copies = judge.compare(digits.train)
    noisy = judge.compare(digits.train + rng.normal(0, 0.1, digits.train.shape))
    new = judge.compare(anchors.gaussian_mixture(digits.train, 1000))
    assert copies["memorisation"] == pytest.approx(0, abs=1e-3)
    assert noisy["memorisation"] < limit  # copies do not hide behind a little noise
    assert new["memorisation"] > limit
    assert copies["fd"] < new["fd"]  # no distance to held-out data tells a copyist


def test_one_class_alone_is_seen_as_collapse(judge: ImageJudge, digits: SimpleNamespace) -> None:
    found = judge.compare(digits.train[digits.labels == 3])
    assert found["fd"] > 20
    assert found["score"] < 1.1
    assert found["coverage"] < 0.2
    assert found["precision"] > 0.8


def test_samples_are_clamped_and_rounded_to_the_levels_of_the_data(judge: ImageJudge) -> None:
    drawn = np.array([[-0.2, 0.031, 0.032, 0.5, 1.7]])
    np.testing.assert_allclose(judge.on_grid(drawn) * 16, [[0, 0, 1, 8, 16]])


def test_a_model_that_draws_no_numbers_has_no_numbers(
    judge: ImageJudge, digits: SimpleNamespace
) -> None:
    drawn = digits.train.copy()
    drawn[3, 5] = np.nan
    found = judge.compare(drawn)
    assert found.keys() == judge.compare(digits.train).keys()
    assert all(np.isnan(value) for value in found.values())


def test_memorisation_is_not_told_where_held_out_images_are_copies(rng: Generator) -> None:
    rows = rng.random((30, 48))
    judging = ImageJudge(dataset_of(rows, rows[:10], (3, 4, 4), 0))
    assert "memorisation" not in judging.compare(rows.astype(np.float32))


def test_too_few_images_to_judge_by_are_refused(rng: Generator) -> None:
    rows = rng.random((30, 48))
    with pytest.raises(InputError, match="30 training and 5 held-out images"):
        ImageJudge(dataset_of(rows, rows[:5], (3, 4, 4), 0))


def test_other_images_are_judged_in_their_own_axes(rng: Generator) -> None:
    train, held_out = rng.random((300, 48)), rng.random((60, 48))
    other = ImageJudge(dataset_of(train, held_out, (3, 4, 4), 0))
    assert other.space.startswith("pca-32-")
    found = other.compare(rng.random((300, 48)))
    assert "score" not in found  # there is no classifier for them
    assert found["fd"] < 3 * other.anchors()["real"]["fd"]


def test_a_model_is_asked_what_it_can_do_and_no_more(judge: ImageJudge) -> None:
    class Half(torch.nn.Module):
        def sample(self, n: int, generator: torch.Generator) -> torch.Tensor:
            return torch.full((n, 1, 8, 8), 0.5)

    found = judge.measure(cast("Model", Half()), 0)
    assert {"fd", "score", "memorisation"} <= found.keys()
    assert not {"bits_per_dim", "active_units"} & found.keys()


def test_a_collapsed_vae_has_no_active_units(judge: ImageJudge, digits: SimpleNamespace) -> None:
    from training.configs import VAEConfig
    from training.models.vae import VAE

    vae = VAE(VAEConfig(latent=4, hidden=16, layers=1), digits.dataset.spec).eval()
    last = vae.encoder[-1]
    assert isinstance(last, torch.nn.Linear)
    torch.nn.init.zeros_(last.weight)
    torch.nn.init.zeros_(last.bias)
    found = judge.measure(vae, 0)
    assert found["active_units"] == 0
    # q is the prior, so the bound is what the decoder alone codes with
    assert found["iwae16_bits_per_dim"] < found["bits_per_dim"]
    assert judge.measure(vae, 0) == found


def test_a_model_of_other_images_cannot_be_measured(judge: ImageJudge, rng: Generator) -> None:
    from training.configs import VAEConfig
    from training.models.vae import VAE

    config = VAEConfig(latent=2, hidden=8, layers=1)
    other = Spec("other", "image", (3, 4, 4), 0, (), "")
    assert judge.cannot(VAE(config, other)) == (
        "it models images of 3x4x4 in any values, and this data is images of 1x8x8 in 17 levels"
    )
    assert judge.cannot(VAE(config, Spec("more", "image", (1, 8, 8), 17, (), ""))) == ""


class Codes:
    """A model whose code length of an image is known: the mean of its pixels."""

    spec = Spec("made", "image", (1, 2, 2), 256, (), "")

    def bits_per_dim(
        self, images: torch.Tensor, _draws: int, _generator: torch.Generator
    ) -> dict[str, torch.Tensor]:
        return {"bits_per_dim": images.flatten(1).float().mean(1)}


def test_bits_per_dim_is_the_mean_of_every_held_out_image(rng: Generator) -> None:
    """The number of the whole project: a row left out, or a batch weighed wrong, moves it."""
    rows = rng.integers(0, 256, (2 * image._BATCH + 7, 4)) / 255
    rows[-7:] = 1.0  # the last, short batch is unlike the others
    judge = ImageJudge(dataset_of(rows[:50], rows, (1, 2, 2), 256))
    found = judge.measure(cast("Model", Codes()), 0)
    assert found["bits_per_dim"] == pytest.approx(np.rint(rows * 255).mean(), rel=1e-6)
