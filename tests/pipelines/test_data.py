"""Pins: found, held against the data before a run, made and pulled by the real DVC."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from infra.errors import InputError
from pipelines import __main__ as verbs
from pipelines import data, dvc, md5
from training import fingerprint
from training.sources import catalogue

ROOT = Path(__file__).parents[2]
PIN = "outs:\n- md5: {md5}\n  size: 1\n  hash: md5\n  path: {path}\n"


@pytest.fixture(autouse=True)
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with this repository's pins and DVC settings, which every test is in."""
    place = tmp_path / "home" / "trefoil"
    for folder in (".dvc", "data"):
        ignored = shutil.ignore_patterns("cache", "tmp", "*.gz")
        shutil.copytree(ROOT / folder, place / folder, ignore=ignored)
    monkeypatch.chdir(place)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    for name in ("SITE_CACHE", "GLOBAL_CONFIG", "SYSTEM_CONFIG"):
        monkeypatch.setenv(f"DVC_{name}_DIR", str(tmp_path / name))
    for name in ("AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_CONNECTION_STRING"):
        monkeypatch.delenv(name, raising=False)
    return place


@pytest.fixture
def git(checkout: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=checkout, check=True)


def folder(place: Path, *names: str) -> Path:
    for name in names or ("a.txt", "more/b.txt"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(f"{name}\n")
    return place


def pin(file: Path, path: str, md5: str) -> Path:
    file.write_text(PIN.format(md5=md5, path=path))
    return file


def verb(*words: str) -> int:
    return verbs.main(["data", *words])


# Before a run


def test_the_digits_are_held_against_their_pin() -> None:
    file = catalogue.digits()
    assert file is not None
    pinned = data.pin_of("digits")
    assert pinned is not None
    assert data.resolve("digits") == ("digits", pinned.md5) == ("digits", fingerprint.md5_of(file))
    assert pinned.file == Path("data/digits.csv.gz.dvc")


def test_other_digits_than_the_pinned_are_refused() -> None:
    pin(Path("data/digits.csv.gz.dvc"), "digits.csv.gz", "0" * 32)
    with pytest.raises(
        InputError, match=r"pins 0{32}: pin what is here with .*add digits`, or ins"
    ):
        data.resolve("digits")


def test_a_machine_without_scikit_learn_starts_runs_by_the_pin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(catalogue, "digits", lambda: None)
    pinned = data.pin_of("digits")
    assert pinned is not None
    assert data.resolve("digits") == ("digits", pinned.md5)
    pinned.file.unlink()
    with pytest.raises(InputError, match="come with scikit-learn, which is not installed"):
        data.resolve("digits")


def test_resolving_loads_nothing_heavy_and_takes_milliseconds() -> None:
    code = (
        "import sys, time\n"
        "from pipelines.data import resolve\n"
        "began = time.perf_counter()\n"
        "resolve('digits')\n"
        "seconds = time.perf_counter() - began\n"
        "heavy = {'numpy', 'sklearn', 'dvc', 'yaml', 'tomllib', 'pyarrow', 'subprocess'}\n"
        "print(heavy & set(sys.modules), seconds < 0.1)\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, check=True, capture_output=True, text=True
    )
    assert done.stdout == "set() True\n"


def test_a_set_from_the_net_is_known_by_its_published_checksums() -> None:
    name, found = data.resolve("mnist")
    assert (name, found[-4:], len(found)) == ("mnist", ".dir", 36)
    assert data.resolve("cifar10") == ("cifar10", "c32a1d4ab5d03f1284b67883e8d87530")
    assert data.resolve("tiny-shakespeare") == ("tiny-shakespeare", "")


@pytest.mark.parametrize("given", ["cats", "./cats/", "cats/../cats"])
def test_a_path_becomes_absolute_and_has_an_md5(given: str, checkout: Path) -> None:
    cats = folder(checkout / "cats")
    assert data.resolve(given) == (str(checkout / "cats"), fingerprint.md5_of(cats))


def test_data_that_is_not_its_pin_is_refused_naming_both(checkout: Path) -> None:
    cats = folder(checkout / "data" / "cats")
    found = fingerprint.md5_of(cats)
    pin(Path("data/cats.dvc"), "cats", found)
    assert data.resolve("data/cats") == data.resolve("cats") == (str(cats), found)
    (cats / "a.txt").write_text("changed")
    now = fingerprint.md5_of(cats)
    with pytest.raises(
        InputError,
        match=rf"has md5 {now}, but data/cats\.dvc pins {found}: pin .* data add data/cats",
    ):
        data.resolve("data/cats")


def test_pinned_data_that_is_not_here_is_to_be_pulled() -> None:
    pin(Path("data/cats.dvc"), "cats", "0" * 32 + ".dir")
    for given in ("cats", "data/cats"):
        with pytest.raises(
            InputError, match=f"is not here; .* python -m pipelines data pull {given}"
        ):
            data.resolve(given)


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
        data.resolve(given)


# Pins


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
    assert data.pin_of("p") == ("a" * 32, Path("data/p.dvc"), Path(path))


@pytest.mark.parametrize(
    "text",
    ["", "hello", "outs: []", "outs:\n- path: x\n", "outs:\n- {}\n- {}\n", "[", "outs: 3", "- 1"],
)
def test_a_broken_pin_is_refused(text: str) -> None:
    Path("data/p.dvc").write_text(text)
    with pytest.raises(InputError, match=r"data/p\.dvc does not pin one path by its md5; restore"):
        data.pin_of("p")


def test_a_name_finds_its_pin_and_no_other() -> None:
    for name in ("cats", "cats.npz", "catsup", "two.npz", "two.txt"):
        pin(Path(f"data/{name}.dvc"), name, "0" * 32)

    def file(name: str) -> Path | None:
        found = data.pin_of(name)
        return found.file if found else None

    assert file("cats") == Path("data/cats.dvc")
    assert file("catsup") == file("data/catsup/") == Path("data/catsup.dvc")
    assert file("cats.npz") == Path("data/cats.npz.dvc")
    assert file("cat") is file("../cats") is file("") is None
    with pytest.raises(InputError, match=r"two may mean data/two\.npz\.dvc, data/two\.txt\.dvc"):
        data.pin_of("two")


# The memory of large data


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


# The verbs, with the real DVC


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
    assert data.resolve("cats") == (str(checkout / "data" / "cats"), expected)

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
    found = data.pin_of("mine/x.txt")
    assert found is not None
    assert found.md5 == fingerprint.md5_of(checkout / "mine" / "x.txt")
    assert verb("verify", "mine/x.txt") == 0


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


def test_without_dvc_it_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(InputError, match="this needs DVC, which is not installed: make setup"):
        dvc.run("pull")


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


def test_dvc_refuses_in_its_own_words(
    git: None, checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder(checkout, "kept.txt")
    subprocess.run(["git", "add", "kept.txt"], check=True)
    assert verb("add", "kept.txt") == 2
    said = capsys.readouterr().err
    assert "dvc add failed: output 'kept.txt' is already tracked by SCM" in said


def test_nothing_pinned_is_no_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree("data")
    assert verb("verify") == verb("pull") == 0
    assert "nothing is pinned in data/" in capsys.readouterr().out


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
