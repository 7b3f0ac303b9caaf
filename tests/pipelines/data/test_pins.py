"""Pins are read in every form, found by name, and data is read once."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from infra.errors import InputError
from pipelines.data import md5
from pipelines.data.pins import pin_of
from tests.pipelines.data.checkout import PIN, folder, pin
from training import fingerprint


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (PIN.format(md5="a" * 32, path="cats.npz"), "data/cats.npz"),
        (PIN.format(md5="a" * 32, path="'sp ace: x'"), "data/sp ace: x"),
        (PIN.format(md5="a" * 32, path="yes"), "data/yes"),
        ("wdir: ..\n" + PIN.format(md5="a" * 32, path="else"), "data/../else"),
        ("md5: " + "b" * 32 + "\nfrozen: true\n" + PIN.format(md5="a" * 32, path="x"), "data/x"),
    ],
)
def test_every_form_of_a_pin_is_read(text: str, path: str) -> None:
    Path("data/p.dvc").write_text(text)
    assert pin_of("p") == ("a" * 32, Path("data/p.dvc"), Path(path))


@pytest.mark.parametrize(
    "text",
    ["", "hello", "outs: []", "outs:\n- path: x\n", "outs:\n- {}\n- {}\n", "[", "outs: 3", "- 1"],
)
def test_a_broken_pin_is_refused(text: str) -> None:
    Path("data/p.dvc").write_text(text)
    with pytest.raises(
        InputError, match=r"data/p\.dvc does not pin one path by its md5; restore .* add data/p$"
    ):
        pin_of("p")


def test_a_pin_of_bytes_that_are_no_text_is_a_broken_one() -> None:
    Path("data/p.dvc").write_bytes(b"\xd0\xff\x00outs")
    with pytest.raises(InputError, match=r"data/p\.dvc does not pin one path by its md5"):
        pin_of("p")


def test_our_own_pin_is_read_without_yaml(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run looks at it, and importing yaml takes longer than all else that it does then."""
    monkeypatch.setitem(sys.modules, "yaml", None)
    assert pin_of("digits") is not None


def test_a_name_finds_its_pin_and_no_other() -> None:
    for name in ("cats", "cats.npz", "catsup", "two.npz", "two.txt"):
        pin(Path(f"data/{name}.dvc"), name, "0" * 32)

    def file(name: str) -> Path | None:
        found = pin_of(name)
        return found.file if found else None

    assert file("cats") == Path("data/cats.dvc")
    assert file("catsup") == file("data/catsup/") == Path("data/catsup.dvc")
    assert file("cats.npz") == Path("data/cats.npz.dvc")
    assert file("cat") is file("../cats") is file("") is None
    with pytest.raises(InputError, match=r"two may mean data/two\.npz\.dvc, data/two\.txt\.dvc"):
        pin_of("two")


def test_large_data_is_read_once_until_it_changes(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cats = folder(checkout / "cats")
    read: list[Path] = []

    def counted(path: Path) -> str:
        read.append(path)
        return fingerprint.md5_of(path)

    monkeypatch.setattr(md5, "fingerprint", type("", (), {
        "md5_of": staticmethod(counted), "files_of": staticmethod(fingerprint.files_of),
    }))  # fmt: skip
    later = time.time() + 60
    monkeypatch.setattr("time.time", lambda: later)
    first = md5.md5_of(cats)
    assert md5.md5_of(cats) == first
    assert len(read) == 1
    (cats / "a.txt").write_text("A.txt\n")  # as long as before
    assert md5.md5_of(cats) == fingerprint.md5_of(cats) != first
    assert len(read) == 2
    (checkout.parents[1] / "cache" / "trefoil" / "md5.json").write_text("{torn")
    assert md5.md5_of(cats) == fingerprint.md5_of(cats)
    assert len(read) == 3


def test_what_changed_just_now_is_not_remembered(checkout: Path) -> None:
    md5.md5_of(folder(checkout / "cats"))
    assert not (checkout.parents[1] / "cache").exists()
