"""The numbers: what each operation answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from components.serving.app import App
from components.serving.operations import Model
from tests.components.serving.asking import (  # noqa: F401  fixtures work by being here
    ask,
    images,
    made_app,
    made_directory,
)
from tests.served import LATENT, decode, write_model


def test_sample_is_what_the_decoder_gives(app: App, directory: Path) -> None:
    """What is served must be what was trained."""
    z = np.random.default_rng(1).standard_normal((3, LATENT), dtype=np.float32)
    found = ask(app, "/sample", {"z": z.tolist()})["images"]
    np.testing.assert_allclose(found, decode(directory, z), atol=1e-5)


def test_a_seed_repeats_a_sample_and_a_longer_one_begins_with_it(app: App) -> None:
    """A picture in a report can be made again from its seed."""
    first = ask(app, "/sample", {"n": 2, "seed": 9})
    assert first == ask(app, "/sample", {"n": 2, "seed": 9})
    np.testing.assert_allclose(
        ask(app, "/sample", {"n": 300, "seed": 9})["images"][:2], first["images"], atol=2e-6
    )
    assert first["images"] != ask(app, "/sample", {"n": 2, "seed": 10})["images"]


def test_a_drawn_seed_is_told(app: App) -> None:
    """Else the one good sample of many is lost."""
    first = ask(app, "/sample", {})
    assert len(first["images"]) == 1
    assert first == ask(app, "/sample", {"seed": first["seed"]})
    assert first["seed"] != ask(app, "/sample", {})["seed"]


def test_reconstruct_and_score_are_what_the_graphs_give(app: App) -> None:
    """Across batches too, where rows could be mixed up."""
    sent = np.array(images(300))
    np.testing.assert_allclose(
        ask(app, "/reconstruct", {"images": sent.tolist()})["images"], sent / 2 + 0.25, atol=1e-5
    )
    noise = np.random.default_rng(4).standard_normal((1, 8, 8), dtype=np.float32)
    np.testing.assert_allclose(
        ask(app, "/score", {"images": sent.tolist(), "seed": 4})["bits_per_dim"],
        (sent * noise).mean(axis=(1, 2)), atol=1e-5,
    )  # fmt: skip


def test_an_image_scores_the_same_wherever_it_stands(app: App) -> None:
    """A score that hangs on its neighbours in the request is no score."""
    sent = images(5)
    together = ask(app, "/score", {"images": sent})["bits_per_dim"]
    alone = [ask(app, "/score", {"images": [each]})["bits_per_dim"][0] for each in sent]
    assert together == pytest.approx(alone, abs=2e-6)


def test_discrete_models_see_the_nearest_level(app: App) -> None:
    """A PNG of the same image must score as its JSON does."""
    off = [[[value + 0.02 if value < 0.9 else value for value in row] for row in images()[0]]]
    assert ask(app, "/reconstruct", {"images": off}) == ask(
        app, "/reconstruct", {"images": images(1)}
    )


def test_continuous_models_see_what_was_sent(tmp_path: Path) -> None:
    """Rounding would be a silent loss."""
    model = Model(write_model(tmp_path / "m", levels=0))
    sent = np.full((1, 8, 8), 0.123, np.float32)
    np.testing.assert_allclose(model.reconstruct(sent), sent / 2 + 0.25)
