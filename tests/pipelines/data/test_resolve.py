"""What a run reads is known by its content before it starts, or is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.errors import InputError
from pipelines.data.pins import pin_of
from pipelines.data.resolve import resolve
from tests.pipelines.data.checkout import ROOT, folder, pin
from training import fingerprint
from training.sources import catalogue


def test_the_digits_are_held_against_their_pin() -> None:
    file = catalogue.digits()
    assert file is not None
    pinned = pin_of("digits")
    assert pinned is not None
    assert pinned.md5 == fingerprint.md5_of(file)
    assert resolve("digits") == ("digits", pinned.md5, "data/digits.csv.gz.dvc")


def test_other_digits_than_the_pinned_are_refused() -> None:
    pin(Path("data/digits.csv.gz.dvc"), "digits.csv.gz", "0" * 32)
    with pytest.raises(
        InputError, match=r"pins 0{32}: pin what is here with .*add digits`, or ins"
    ):
        resolve("digits")


def test_a_machine_without_scikit_learn_starts_runs_by_the_pin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(catalogue, "digits", lambda: None)
    pinned = pin_of("digits")
    assert pinned is not None
    assert resolve("digits") == ("digits", pinned.md5, str(pinned.file))
    pinned.file.unlink()
    with pytest.raises(InputError, match="come with scikit-learn, which is not installed"):
        resolve("digits")


def test_data_that_nobody_pinned_is_not_called_pinned(tmp_path: Path) -> None:
    """The report would say of any file that DVC can bring it back."""
    mine = tmp_path / "mine.npz"
    mine.write_bytes(b"x")
    assert resolve(str(mine)) == (str(mine), fingerprint.md5_of(mine), "")


def test_resolving_loads_nothing_heavy() -> None:
    """It is on the path of every run and every dry run."""
    code = (
        "import sys\n"
        "from pipelines.data.resolve import resolve\n"
        "resolve('digits')\n"
        "heavy = {'numpy', 'sklearn', 'dvc', 'yaml', 'tomllib', 'pyarrow', 'subprocess'}\n"
        "print(heavy & set(sys.modules))\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, check=True, capture_output=True, text=True
    )
    assert done.stdout == "set()\n"


def test_a_set_from_the_net_is_known_by_its_published_checksums() -> None:
    name, found, _ = resolve("mnist")
    assert (name, found[-4:], len(found)) == ("mnist", ".dir", 36)
    assert resolve("cifar10") == ("cifar10", "c32a1d4ab5d03f1284b67883e8d87530", "")
    assert resolve("tiny-shakespeare") == ("tiny-shakespeare", "", "")


@pytest.mark.parametrize("given", ["cats", "./cats/", "cats/../cats"])
def test_a_path_becomes_absolute_and_has_an_md5(given: str, checkout: Path) -> None:
    cats = folder(checkout / "cats")
    assert resolve(given) == (str(checkout / "cats"), fingerprint.md5_of(cats), "")


def test_data_that_is_not_its_pin_is_refused_naming_both(checkout: Path) -> None:
    cats = folder(checkout / "data" / "cats")
    found = fingerprint.md5_of(cats)
    pin(Path("data/cats.dvc"), "cats", found)
    resolved = (str(cats), found, "data/cats.dvc")
    assert resolve("data/cats") == resolve("cats") == resolved
    (cats / "a.txt").write_text("changed")
    now = fingerprint.md5_of(cats)
    for word in ("data/cats", "cats"):  # by name, the advice still has to name the path
        with pytest.raises(
            InputError,
            match=rf"has md5 {now}, but data/cats\.dvc pins {found}: pin .* data add data/cats`",
        ):
            resolve(word)


def test_pinned_data_that_is_not_here_is_to_be_pulled() -> None:
    pin(Path("data/cats.dvc"), "cats", "0" * 32 + ".dir")
    for given in ("cats", "data/cats"):
        with pytest.raises(
            InputError, match=f"is not here; .* python -m pipelines data pull {given}"
        ):
            resolve(given)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("mnits", "did you mean mnist"),
        ("no/such", "data sets are digits, mnist"),
        ("s3://bucket/cats", "is an address, and data is a name or a path"),
        ("data/digits.csv.gz.dvc", r"is a pin; give what it pins, data/digits\.csv\.gz"),
        ("", "is neither a file or folder nor the name"),
    ],
)
def test_what_is_no_data_is_refused(given: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        resolve(given)
