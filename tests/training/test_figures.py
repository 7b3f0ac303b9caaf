"""Pictures: they show what they are given, alike every time."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training import figures
from training.metrics.distances import Array


@pytest.fixture
def images() -> Array:
    return np.random.default_rng(0).random((40, 1, 8, 8))


def drawings(images: Array) -> dict[str, Callable[[Path], None]]:
    colour = np.repeat(images, 3, axis=1)
    steps = np.arange(50)
    panels = {
        "Reconstruction [bits/dim]": {
            "train": (steps, 2 + 5 * np.exp(-steps / 3)),
            "validation": (steps[::5], 2.1 + 0 * steps[::5]),
        },
        "KL [bits/dim]": {"train": (steps, steps / 50)},
    }
    return {
        "samples": lambda path: figures.samples(path, images, images[::-1]),
        "samples-colour": lambda path: figures.samples(path, colour, colour[:10]),
        "reconstructions": lambda path: figures.reconstructions(path, images, 1 - images),
        "one-reconstruction": lambda path: figures.reconstructions(path, images[:1], images[:1]),
        "interpolation": lambda path: figures.interpolation(path, images.reshape(4, 10, 1, 8, 8)),
        "curves": lambda path: figures.curves(path, panels, "training step", best=30),
    }


NAMES = list(drawings(np.zeros((40, 1, 8, 8))))


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_is_the_same_file_every_time(name: str, images: Array, tmp_path: Path) -> None:
    draw = drawings(images)[name]
    draw(tmp_path / "a.png")
    draw(tmp_path / "b.png")
    raw = (tmp_path / "a.png").read_bytes()
    assert raw == (tmp_path / "b.png").read_bytes()
    picture = Image.open(io.BytesIO(raw))
    assert picture.format == "PNG"
    assert not {"Software", "Creation Time", "date:create"} & picture.info.keys()
    assert min(picture.size) > 60
    assert len(np.unique(np.asarray(picture.convert("L")))) > 10  # something is drawn


def test_tiles_stand_in_reading_order_with_a_white_line_between(images: Array) -> None:
    sheet = figures.tile(images[:5], columns=3)
    assert sheet.shape == (17, 26, 1)
    np.testing.assert_array_equal(sheet[:8, 9:17, 0], images[1, 0])
    np.testing.assert_array_equal(sheet[9:, :8, 0], images[3, 0])
    assert (sheet[8] == 1).all()
    assert (sheet[9:, 18:] == 1).all()


def test_gaps_in_a_curve_are_no_reason_to_fail(tmp_path: Path) -> None:
    x = list(range(30))
    y = [float("nan")] * 15 + [1.0] * 15
    figures.curves(tmp_path / "c.png", {"KL": {"train": (x, y)}}, "step")
    assert (tmp_path / "c.png").stat().st_size > 1000
