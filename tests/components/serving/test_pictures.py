"""Pictures: in and out as PNG, and which answers come as one."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.serving.app import App
from components.serving.operations import Model
from tests.components.serving.asking import (  # noqa: F401  fixtures work by being here
    ask,
    call,
    images,
    made_app,
    made_directory,
)
from tests.served import write_model


def test_sample_as_a_picture(app: App) -> None:
    """README shows just this with curl."""
    status, headers, body = call(
        app, "/sample", {"n": 5, "seed": 3, "scale": 2}, headers={"Accept": "image/png"}
    )
    assert (status, headers["content-type"]) == (200, "image/png")
    grid = np.asarray(Image.open(io.BytesIO(body)))
    assert grid.shape == ((2 * 9 - 1) * 2, (3 * 9 - 1) * 2)
    want = np.rint(np.array(ask(app, "/sample", {"n": 5, "seed": 3})["images"]) * 255)
    np.testing.assert_array_equal(grid[::2, ::2][9:, 9:17], want[4])
    assert (grid[16:18] == 255).all()  # one digit must not run into the next
    assert (grid[:, 16:18] == 255).all()
    assert not grid[18:, 36:].any()  # nothing is left for the sixth place


@pytest.mark.parametrize("shape", [(6, 4), (1, 6, 4), (3, 6, 4), (6, 4, 3)])
def test_a_picture_goes_in_as_it_came_out(tmp_path: Path, shape: tuple[int, ...]) -> None:
    """In every layout of channels, and by every route that takes one."""
    app = App("1")
    app.ready(model := Model(write_model(tmp_path / "m", shape=shape, levels=256)), {})
    app._seconds = model.warm_up()
    _, _, picture = call(app, "/sample", {"seed": 3}, headers={"Accept": "image/png"})
    image = np.rint(np.array(ask(app, "/sample", {"seed": 3})["images"]) * 255) / 255
    for path in ("/reconstruct", "/score?seed=2", "/invocations?operation=score&seed=2"):
        status, _, body = call(app, path, picture, headers={"Content-Type": "image/png"})
        assert status == 200, body
        assert json.loads(body) == ask(app, path, {"images": image.tolist()})
    app.close()


def test_rows_that_are_no_pictures(tmp_path: Path) -> None:
    """Vectors have no PNG; the sentence must say so, and JSON must work."""
    app = App("1")
    model = Model(write_model(tmp_path / "m", shape=(5,)))
    app.ready(model, model.warm_up())
    assert ask(app, "/sample", {"n": 2, "seed": 1})["images"]
    assert call(app, "/sample", {"n": 2}, headers={"Accept": "image/png"})[0] == 415
    app.close()


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("APPLICATION/JSON; charset=utf-8", "application/json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "application/json"),
        ("image/png;q=0.2, application/json", "application/json"),
        ("image/png", "image/png"),
        ("image/*", "image/png"),
        ("image/png, */*;q=0.5", "image/png"),
        ("image/png, */*", "image/png"),
        ("application/json;q=0, */*", "image/png"),
    ],
)
def test_the_answer_is_what_is_wanted_most(app: App, accept: str, media: str) -> None:
    """Browsers, curl and libraries each say it differently."""
    status, headers, _ = call(app, "/sample", {"n": 1}, headers={"Accept": accept})
    assert (status, headers["content-type"]) == (200, media)


@pytest.mark.parametrize(
    "accept", ["image/gif", "text/csv, image/webp", "application/json;q=0", "image/png;q=x", ",;"]
)
def test_what_cannot_be_answered_as_wanted_is_refused(app: App, accept: str) -> None:
    """JSON to who can read only GIF is an answer that nobody can use."""
    status, _, body = call(app, "/sample", {"n": 1}, headers={"Accept": accept})
    assert status == 406
    assert "comes as application/json or image/png" in json.loads(body)["error"]


def test_a_score_is_no_picture(app: App) -> None:
    sent = {"images": images(1)}
    for accept, status in (("image/png", 406), ("image/*", 406), ("image/png, */*", 200)):
        assert call(app, "/score", sent, headers={"Accept": accept})[0] == status


def test_a_picture_too_large_is_refused_before_it_is_made(app: App) -> None:
    """One short request must not take the memory of the whole server."""
    asked = {"n": 1024, "scale": 64}
    status, _, body = call(app, "/sample", asked, headers={"Accept": "image/png"})
    assert status == 400
    assert "the picture would have 337383424 pixels" in json.loads(body)["error"]
    assert call(app, "/sample", asked)[0] == 200
