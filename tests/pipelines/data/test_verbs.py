"""data add, verify and pull, with the real DVC."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from pipelines.data import dvc
from pipelines.data.pins import pin_of
from pipelines.data.resolve import resolve
from tests.pipelines.data.checkout import folder, verb
from training import fingerprint


def test_add_verify_and_pull_go_round(
    git: None, checkout: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outside = folder(tmp_path / "elsewhere" / "cats")
    expected = fingerprint.md5_of(outside)
    assert verb("add", str(outside), "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "name": "cats", "path": "data/cats", "md5": expected, "pin": "data/cats.dvc"
    }  # fmt: skip
    assert folder(outside).is_dir()  # nothing was moved
    assert fingerprint.md5_of(checkout / "data" / "cats") == expected
    assert "/cats" in Path("data/.gitignore").read_text().splitlines()
    assert verb("verify") == 0
    out = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in out] == [["cats", "ok"], ["digits", "ok"]]

    dvc.run("push")
    assert (checkout.parent / "trefoil-data").is_dir()  # the local remote, beside the checkout
    for path in (checkout / "data" / "cats", checkout / ".dvc" / "cache"):
        shutil.rmtree(path)
    assert verb("verify", "cats") == 2
    assert "data/cats is not here: python -m pipelines data pull" in capsys.readouterr().out
    assert verb("pull", "--json") == 0
    found = {each["name"]: each for each in json.loads(capsys.readouterr().out)}
    assert (found["cats"]["pulled"], found["digits"]["pulled"]) == (True, False)
    assert resolve("cats") == (str(checkout / "data" / "cats"), expected, "data/cats.dvc")

    (outside / "c.txt").write_text("new\n")
    assert verb("add", str(outside)) == 0  # what is replaced is pinned, and so can be had again
    assert f"data/cats is pinned by {fingerprint.md5_of(outside)}" in capsys.readouterr().out
    (checkout / "data" / "cats" / "c.txt").write_text("changed\n")
    assert verb("add", str(folder(outside, "d.txt"))) == 2
    assert "holds other data, not pinned; pin it first" in capsys.readouterr().err
    assert verb("pull", "cats") == 2
    assert "or remove it and pull again" in capsys.readouterr().err


def test_data_within_the_checkout_is_pinned_where_it_lies(
    git: None, checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder(checkout / "mine", "x.txt")
    assert verb("add", "mine/x.txt") == 0
    assert "git add mine/x.txt.dvc mine/.gitignore" in capsys.readouterr().out
    found = pin_of("mine/x.txt")
    assert found is not None
    assert found.md5 == fingerprint.md5_of(checkout / "mine" / "x.txt")
    assert verb("verify", "mine/x.txt") == 0


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["add", "mnist"], "mnist is held against its published checksums; it needs no pin"),
        (["add", "none"], "none is neither a file or folder"),
        (["add", "."], "holds this checkout"),
        (["add", ".."], "holds this checkout"),
        (["verify", "digitz"], "there is no pin of digitz; did you mean digits?"),
        (["pull", "cats"], "there is no pin of cats"),
        (["what"], "invalid choice: 'what'"),
        ([], "the following arguments are required: ACTION"),
    ],
)
def test_misuse_is_one_sentence(
    words: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verb(*words) == 2
    said = capsys.readouterr().err.strip()
    assert why in said
    assert len(said.splitlines()) == 1


def test_nothing_pinned_is_no_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree("data")
    assert verb("verify") == verb("pull") == 0
    assert "nothing is pinned in data/" in capsys.readouterr().out
