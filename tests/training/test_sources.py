"""Arrays and texts as people have them: what comes of them."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from training import sources
from training.errors import InputError
from training.sources import arrays, checks, text
from training.sources.examples import Array, Examples, Images, Texts


def at(row: int) -> str:
    return f"images[{row}]"


def images_of(found: Examples) -> Images:
    assert isinstance(found.content, Images)
    return found.content


def grey(rows: int = 10, *shape: int, top: int = 255) -> Array:
    size = (rows, *(shape or (4, 4)))
    return np.random.default_rng(0).integers(0, top + 1, size).astype(np.uint8)


@pytest.mark.parametrize(
    ("given_shape", "expected"),
    [
        ((9, 4, 5), (9, 1, 4, 5)),
        ((9, 4, 5, 3), (9, 3, 4, 5)),
        ((9, 4, 5, 1), (9, 1, 4, 5)),
        ((9, 3, 4, 5), (9, 3, 4, 5)),
        ((9, 1, 4, 5), (9, 1, 4, 5)),
    ],
)
def test_channels_come_first(given_shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    pixels = grey(*given_shape)
    found = checks.images(pixels, "x", at)
    assert found.pixels.shape == expected
    first = pixels[0, ..., 0] if given_shape[-1] in (1, 3) else pixels[0].reshape(-1, 4, 5)[0]
    np.testing.assert_array_equal(found.pixels[0, 0], first)


@pytest.mark.parametrize(
    ("pixels", "levels", "kind"),
    [
        (grey(), 256, np.uint8),
        (grey().astype(np.int64), 256, np.uint8),
        (grey().astype(">f4"), 256, np.uint8),
        (grey(top=1), 2, np.uint8),
        (grey(top=1).astype(bool), 2, np.uint8),
        (grey() / 255, 0, np.float32),
        ((grey() / 255).astype(np.float16), 0, np.float32),
    ],
)
def test_whole_numbers_have_levels_and_fractions_none(
    pixels: Array, levels: int, kind: type
) -> None:
    found = checks.images(pixels, "x", at)
    assert (found.levels, found.pixels.dtype) == (levels, np.dtype(kind))
    np.testing.assert_allclose(found.pixels[:, 0], pixels, rtol=1e-6)


def test_the_row_is_named_beyond_the_first_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "_CHUNK", 100)
    pixels = grey(1000).astype(float) / 256
    pixels[777, 2, 3] = np.nan
    with pytest.raises(InputError, match=r"images\[777\] holds NaN"):
        checks.images(pixels, "x", at)


def test_dark_whole_numbers_are_noted_unless_the_levels_are_told(tmp_path: Path) -> None:
    file = tmp_path / "d.npz"
    np.savez(file, images=grey(top=16))
    assert "the brightest pixel of" in arrays.read(file, 0).notes[0]
    assert "array levels = 17" in arrays.read(file, 0).notes[0]
    np.savez(file, images=grey(top=16), levels=17)
    found = arrays.read(file, 0)
    assert (images_of(found).levels, found.notes) == (17, ())


@pytest.mark.parametrize("names", [("images", "labels"), ("x", "y")])
@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (np.arange(20) % 4, ("0", "1", "2", "3")),
        (np.arange(20) % 2 * 7 + 3, ("3", "10")),
        (np.array(["cat", "dog"] * 10), ("cat", "dog")),
        (np.array([b"cat", b"dog"] * 10), ("cat", "dog")),
        ((np.arange(20) % 2).astype(float), ("0", "1")),
        ((np.arange(20) % 2 > 0), ("0", "1")),
        ((np.arange(20) % 4)[:, None], ("0", "1", "2", "3")),
    ],
)
def test_labels_of_any_kind_become_places_in_classes(
    labels: Array, classes: tuple[str, ...], names: tuple[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "d.npz"
    stored: dict[str, Any] = {names[0]: grey(20), names[1]: labels}
    np.savez(file, **stored)
    found = arrays.read(file, 0).labels
    assert found is not None
    assert found.classes == classes
    words = [classes[place] for place in found.ids]
    expected = [
        w.decode() if isinstance(w, bytes) else str(w if isinstance(w, str) else int(w))
        for w in labels.ravel().tolist()
    ]
    assert words == expected


def test_npz_may_name_its_classes(tmp_path: Path) -> None:
    file = tmp_path / "d.npz"
    np.savez(file, x=grey(20), y=np.arange(20) % 2, classes=np.array(["cat", "dog", "emu"]))
    found = arrays.read(file, 0).labels
    assert found is not None
    assert (found.classes, found.ids[1]) == (("cat", "dog", "emu"), 1)


def test_keras_arrays_keep_their_split(tmp_path: Path) -> None:
    file = tmp_path / "mnist.npz"
    x, y = grey(15), np.arange(15) % 3
    np.savez_compressed(file, x_train=x[:10], y_train=y[:10], x_test=x[10:], y_test=y[10:])
    found = arrays.read(file, seed=5)
    assert found.split.how == "given"
    np.testing.assert_array_equal(images_of(found).pixels[:, 0], x)
    assert sorted(found.split.test.tolist()) == list(range(10, 15))
    assert found.labels is not None
    assert found.labels.ids.tolist() == y.tolist()
    bad = x.astype(int)
    bad[12, 0, 0] = -1
    np.savez(file, x_train=bad[:10], x_test=bad[10:])
    with pytest.raises(InputError, match=r"x_test\[2\] holds -1"):
        arrays.read(file, 0)


def test_the_seed_decides_the_split_of_arrays(tmp_path: Path) -> None:
    file = tmp_path / "d.npz"
    np.savez(file, images=grey(50), labels=np.arange(50) % 5)
    one, same, other = (arrays.read(file, seed).split for seed in (1, 1, 2))
    assert one.test.tolist() == same.test.tolist() != other.test.tolist()


@given(
    corpus=st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufeff"), min_size=2
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_parts_of_a_text_joined_are_the_text(corpus: str, tmp_path: Path) -> None:
    file = tmp_path / "t.txt"
    file.write_bytes(corpus.encode())
    found = text.read(file)
    assert isinstance(found.content, Texts)
    rows = found.content.texts
    train = "".join(rows[row] for row in found.split.train)
    test = "".join(rows[row] for row in found.split.test)
    cut = int(0.9 * len(corpus))
    assert (train, test) == (corpus[:cut], corpus[cut:])
    assert all(rows)


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    file = tmp_path / "t.txt"
    file.write_bytes(b"\xef\xbb\xbfhello there")
    found = text.read(file)
    assert isinstance(found.content, Texts)
    assert found.content.texts == ["hello the", "re"]


@given(data=st.data())
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150
)
def test_a_damaged_npz_is_read_or_refused_never_more(data: st.DataObject, tmp_path: Path) -> None:
    whole = tmp_path / "whole.npz"
    save: Any = data.draw(st.sampled_from([np.savez, np.savez_compressed]))
    save(whole, images=grey(6), labels=np.arange(6) % 2)
    raw = bytearray(whole.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    damaged = tmp_path / "damaged.npz"
    damaged.write_bytes(raw[: data.draw(st.integers(0, len(raw)))])
    said = ""
    try:
        arrays.read(damaged, 0)
    except InputError as error:
        said = str(error)
    assert not said or "damaged.npz" in said


def test_an_array_that_is_a_pickle_is_not_loaded(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
            return Path(tmp_path / "sprung").touch, ()

    file = tmp_path / "d.npz"
    np.savez(file, images=np.array([Trap()], object))
    with pytest.raises(InputError, match="images holds Python objects"):
        arrays.read(file, 0)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("images.npy", b"\x80\x04N.")
    with pytest.raises(InputError, match=r"d\.npz, images is damaged"):
        arrays.read(file, 0)
    assert not (tmp_path / "sprung").exists()


def test_what_is_no_data_is_told_with_what_is(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("1,2\n")
    said: list[str] = []
    for data, why in {
        "mnits": "did you mean mnist",
        "no/such/thing": "data sets are digits, mnist, fashion-mnist, cifar10, tiny-shakespeare",
        str(tmp_path / "table.csv"): "is of no known kind; data is a folder of pictures, .npz",
    }.items():
        with pytest.raises(InputError, match=why):
            sources.find(data, said.append)
    assert said == []
