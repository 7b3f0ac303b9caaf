"""DVC in a process of its own: what it refuses becomes one sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from infra.errors import InputError
from pipelines.data import dvc
from tests.pipelines.data.checkout import folder, pin, verb


def test_what_a_remote_does_not_hold_is_told(git: None, capsys: pytest.CaptureFixture[str]) -> None:
    pin(Path("data/cats.dvc"), "cats", "0" * 32 + ".dir")
    assert verb("pull", "cats") == 2
    assert "dvc pull failed: the remote does not hold this data; run python -m dvc push" in (
        capsys.readouterr().err
    )
    assert verb("pull", "cats", "--remote", "nope") == 2
    assert "remote 'nope' doesn't exist" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("remote", "why"),
    [
        ("s3", "names no bucket of yours yet: .* modify --local s3 url s3://BUCKET/PATH"),
        ("gs", "names no bucket of yours yet: .* modify --local gs url gs://BUCKET/PATH"),
        ("azure", "names no account of yours yet: .* --local azure account_name ACCOUNT"),
    ],
)
def test_a_remote_that_is_not_set_is_told_without_asking_it(remote: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        dvc.require_remote(remote)
    own = {"azure": "account_name = mine"}.get(remote, f"url = {remote}://mine/data")
    Path(".dvc/config.local").write_text(f"['remote \"{remote}\"']\n    {own}\n")
    dvc.require_remote(remote)
    dvc.require_remote("")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (
            "ERROR: unexpected error - s3 is supported, but requires 'dvc-s3' to be installed: No",
            "it lacks dvc-s3; install the extra aws",
        ),
        (
            "WARNING: x\nERROR: failed to pull data from the cloud - Checkout failed for\ndata/x",
            "the remote does not hold this data",
        ),
        (
            "ERROR: unexpected error - Unable to locate credentials\n\nHaving any troubles? Hit us",
            "failed: Unable to locate credentials$",
        ),
        ("", "it gives no reason"),
    ],
)
def test_dvcs_reasons_become_a_sentence(
    said: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = subprocess.CompletedProcess([], 255, "", said)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(InputError, match=why):
        dvc.run("pull")


@pytest.mark.parametrize("garbage", [b"\xd0\xff\x00", b"]["])
def test_a_damaged_pin_that_is_in_the_way_is_named(
    git: None, capsys: pytest.CaptureFixture[str], garbage: bytes
) -> None:
    """DVC reads them all to pin one: what it says of another file must tell how to go on."""
    Path("data/ok.npz.dvc").write_bytes(garbage)
    folder(Path("data/cats"))
    assert verb("add", "data/cats") == 2
    assert "reads every pin, and data/ok.npz.dvc is damaged; restore that" in (
        capsys.readouterr().err
    )
    Path("data/ok.npz.dvc").unlink()
    assert verb("add", "data/cats") == 0


def test_the_digits_are_not_missed_by_a_push(git: None, tmp_path: Path) -> None:
    """They come with scikit-learn, so that no remote has them, nor needs to."""
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "push"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_without_dvc_it_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(InputError, match="this needs DVC, which is not installed: make setup"):
        dvc.run("pull")


def test_dvc_refuses_in_its_own_words(
    git: None, checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder(checkout, "kept.txt")
    subprocess.run(["git", "add", "kept.txt"], check=True)
    assert verb("add", "kept.txt") == 2
    said = capsys.readouterr().err
    assert "dvc add failed: output 'kept.txt' is already tracked by SCM" in said


def test_the_four_remotes_are_dvcs_own_syntax(git: None) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "config", "--list"],
        check=True,
        capture_output=True,
        text=True,
    )
    settings = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert settings["core.remote"] == "local"
    assert settings["core.analytics"] == settings["core.check_update"] == "false"
    assert Path(settings["remote.local.url"]).name == "trefoil-data"
    assert {name.split(".")[1] for name in settings if name.startswith("remote.")} == {
        "local", "s3", "gs", "azure"
    }  # fmt: skip
