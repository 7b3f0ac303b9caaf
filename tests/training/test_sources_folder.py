"""Folders of pictures."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from training.errors import InputError
from training.sources import folder
from training.sources.examples import Array, Examples, Images
from training.sources.pictures import Stack

SIZES = {"L": (6, 5), "RGB": (6, 5, 3), "RGBA": (6, 5, 4), "LA": (6, 5, 2)}


def picture(mode: str = "L", seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, SIZES[mode]).astype(np.uint8)
    return Image.fromarray(pixels)


def write(root: Path, names: list[str], mode: str = "L") -> Path:
    for seed, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        picture(mode, seed).save(root / name)
    return root


def pixels_of(found: Examples) -> Array:
    assert isinstance(found.content, Images)
    return found.content.pixels


TWO = ["cat/1.png", "cat/2.png", "cat/3.png", "dog/1.png", "dog/2.png"]


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tiff"])
def test_sub_folders_are_classes(mode: str, suffix: str, tmp_path: Path) -> None:
    names = [name.replace(".png", suffix) for name in TWO]
    write(tmp_path, names, mode)
    found = folder.read(tmp_path, 0)
    assert found.labels is not None
    assert (found.labels.classes, found.labels.ids.tolist()) == (("cat", "dog"), [0, 0, 0, 1, 1])
    assert isinstance(found.content, Images)
    assert found.content.levels == 256
    assert pixels_of(found).shape == (5, 1 if mode == "L" else 3, 6, 5)
    third = np.asarray(picture(mode, 2)).reshape(6, 5, -1)
    np.testing.assert_array_equal(pixels_of(found)[2], third.transpose(2, 0, 1))


def test_a_flat_folder_has_no_labels(tmp_path: Path) -> None:
    write(tmp_path, ["1.png", "2.png", "3.jpg"])
    found = folder.read(tmp_path, 0)
    assert found.labels is None
    assert found.split.how == "shuffled"
    assert len(pixels_of(found)) == 3
    assert found.notes == ()


@pytest.mark.parametrize(
    "name", [".DS_Store", "Thumbs.db", "desktop.ini", "DESKTOP.INI", "._1.png"]
)
@pytest.mark.parametrize("places", [("",), ("cat",), ("", "cat", "dog")])
def test_what_systems_leave_among_pictures_is_passed_over_and_counted(
    places: tuple[str, ...], name: str, tmp_path: Path
) -> None:
    """A person never sees these files, and could not know what to remove."""
    write(tmp_path, TWO)
    (tmp_path / "__MACOSX").mkdir()
    for place in places:
        (tmp_path / place / name).write_bytes(b"x")
    found = folder.read(tmp_path, 0)
    assert len(pixels_of(found)) == 5
    assert found.labels is not None
    assert found.labels.classes == ("cat", "dog")
    [note] = found.notes
    assert note.startswith(f"{len(places) + 1} system files are passed over in {tmp_path}, such as")
    assert name in note


def test_any_other_file_among_pictures_is_refused(tmp_path: Path) -> None:
    """It may be a picture that was damaged: to leave it out is for a person to say."""
    write(tmp_path, TWO)
    (tmp_path / "cat" / "readme.txt").write_text("of cats")
    with pytest.raises(InputError, match=r"cat/readme.txt is not a picture; remove it"):
        folder.read(tmp_path, 0)


def test_train_and_test_folders_keep_their_split(tmp_path: Path) -> None:
    write(tmp_path, [f"train/{name}" for name in TWO] + ["test/cat/9.png"])
    found = folder.read(tmp_path, 0)
    assert found.split.how == "given"
    assert (sorted(found.split.train.tolist()), found.split.test.tolist()) == ([0, 1, 2, 3, 4], [5])
    assert found.labels is not None
    assert found.labels.ids.tolist() == [0, 0, 0, 1, 1, 0]


def test_one_bit_pictures_are_grey_and_turned_ones_are_upright(tmp_path: Path) -> None:
    picture("L").convert("1").save(tmp_path / "1.png")
    turned = picture("L", 1)
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "2.png", exif=exif)
    pixels = pixels_of(folder.read(tmp_path, 0))
    assert set(np.unique(pixels[0])) == {0, 255}
    np.testing.assert_array_equal(pixels[1, 0], np.asarray(turned))


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP"])
@given(data=st.data())
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150
)
def test_a_damaged_picture_is_read_or_refused_never_more(form: str, data: st.DataObject) -> None:
    whole = io.BytesIO()
    picture("RGB").save(whole, form)
    raw = bytearray(whole.getvalue())
    for _ in range(data.draw(st.integers(0, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    said = ""
    try:
        Stack(1).add(bytes(raw[: data.draw(st.integers(0, len(raw)))]), "cats/1.png")
    except InputError as error:
        said = str(error)
    assert not said or said.startswith("cats/1.png ")
