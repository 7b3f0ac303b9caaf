"""prepare as a step: what it writes, and that it is all or nothing."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from components import contract, prepare
from tests.raw import (
    GREY,
    LABELS,
    RNG,
    Make,
    content,
    npz,
    parquet,
    pictures,
    run,
    schema_of,
    written,
)
from training.fingerprint import md5_of
from training.sources import catalogue

ROOT = Path(__file__).parents[2]

DIGITS_MD5 = "9b335364a7bfd63947c7480a5bd51f2d"


def test_the_digits_by_default(tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare.main(["--dataset", str(out), "--md5", DIGITS_MD5, "--pin", "data/digits.dvc"])
    assert list(written(out)) == ["schema.json", "statistics.json", "test.parquet", "train.parquet"]
    found = schema_of(out)
    assert found["source"] == {
        "data": "digits", "kind": "digits", "md5": DIGITS_MD5, "pin": "data/digits.dvc",
    }  # fmt: skip
    assert (found["shape"], found["levels"], found["modality"]) == ([1, 8, 8], 17, "image")
    assert {part: at["rows"] for part, at in found["splits"].items()} == {
        "train": 1347,
        "test": 450,
    }
    train = pq.read_table(out / "train.parquet")
    assert (
        {name: str(train.schema.field(name).type) for name in train.column_names}
        == {
            "image": "fixed_size_list<element: uint8>[64]",
            "label": "int64",
        }
        == found["columns"]
    )
    pixels = np.array(train["image"].to_pylist())
    told = json.loads((out / "statistics.json").read_text())["train"]
    assert told["rows"] == 1347
    (channel,) = told["pixels"]["channels"]
    mean, std = pytest.approx(pixels.mean()), pytest.approx(pixels.std())
    assert channel == {"min": 0, "max": 16, "mean": mean, "std": std}
    assert told["pixels"]["histogram"] == np.bincount(pixels.ravel(), minlength=17).tolist()
    assert told["labels"]["3"] == train["label"].to_pylist().count(3)


KINDS: dict[str, Make] = {
    "npz": npz(images=GREY, labels=LABELS),
    "fractions": npz(images=RNG.random((20, 5, 6, 3))),
    "parquet": parquet(image=GREY.tolist(), label=["cat", "dog"] * 10),
    "texts": parquet(text=[f"text {n} é" for n in range(20)]),
    "txt": content("d.txt", "one\ntwo\nthree é\n".encode() * 9),
    "pics": pictures(mode="RGB"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_data_gives_the_same_bytes_wherever_it_lies(kind: str, tmp_path: Path) -> None:
    found = []
    for place in ("one", "two/deeper"):
        (tmp_path / place).mkdir(parents=True)
        data = KINDS[kind](tmp_path / place)
        os.utime(data, (1, 1))
        assert run(data, tmp_path / place / "out", "--seed", "3", "--md5", md5_of(data)) == 0
        found.append(written(tmp_path / place / "out"))
    assert found[0] == found[1]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_can_be_read_and_says_what_it_is(kind: str, tmp_path: Path) -> None:
    data = KINDS[kind](tmp_path)
    assert run(data, tmp_path / "out") == 0
    found = schema_of(tmp_path / "out")
    told = json.loads((tmp_path / "out" / "statistics.json").read_text())
    for part, at in found["splits"].items():
        table = pq.read_table(tmp_path / "out" / at["file"])
        assert len(table) == at["rows"] == told[part]["rows"] > 0
        assert {f.name: str(f.type) for f in table.schema} == found["columns"]
    assert found["source"]["md5"] == md5_of(data)
    again = tmp_path / "again"
    assert run(tmp_path / "out" / "train.parquet", again) == 0  # its metadata tell its shape
    for word in ("modality", "shape", "levels", "classes"):
        assert schema_of(again).get(word) == found.get(word)


def test_a_pin_that_does_not_match_is_refused_naming_both(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, pin = npz(images=GREY)(tmp_path), "0" * 32
    pinned = ("--md5", pin, "--pin", "data/mine.npz.dvc")
    assert run(data, tmp_path / "out", *pinned) == contract.BAD_INPUT
    said = capsys.readouterr().err
    assert f"has md5 {md5_of(data)}, but data/mine.npz.dvc pins {pin}" in said
    assert f"pipelines data pull {data}" in said
    assert f"pipelines data add {data}" in said
    assert not (tmp_path / "out").exists()


def test_data_that_changed_under_a_run_is_not_called_pinned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever is sent for a pin that is not there looks in vain."""
    data = npz(images=GREY)(tmp_path)
    assert run(data, tmp_path / "out", "--md5", "0" * 32) == contract.BAD_INPUT
    said = capsys.readouterr().err
    assert "it was changed meanwhile; give the same command again" in said
    assert "pull" not in said


def test_a_set_from_the_net_is_prepared_from_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "To be, or not to be\n" * 50
    file = tmp_path / "cache" / "trefoil" / "data" / "small" / "input.txt"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    table = tmp_path / "table.toml"
    checksum = hashlib.sha256(text.encode()).hexdigest()
    table.write_text(
        '[small]\nkind = "text"\nhome = "http://127.0.0.1:1/"\nclasses = []\n'
        f'[small.files]\n"input.txt" = "sha256:{checksum}"\n'
    )
    monkeypatch.setattr(catalogue.find, "__defaults__", (table,))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert run("small", tmp_path / "out") == 0
    found = schema_of(tmp_path / "out")
    assert (found["name"], found["source"]["kind"]) == ("small", "online")
    assert found["source"]["md5"] == md5_of(file)


@pytest.mark.parametrize("moment", ["statistics", "tables"])
def test_a_killed_step_leaves_nothing_and_the_next_is_whole(moment: str, tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from components import prepare\n"
        "from training import schema\n"
        f"schema.{moment} = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "prepare.main(sys.argv[1:])\n"
    )
    out = tmp_path / "out"
    words = ["--data", "digits", "--dataset", str(out)]
    killed = subprocess.run([sys.executable, "-c", code, *words], cwd=ROOT, check=False)
    assert killed.returncode == -9
    assert not out.exists()
    assert run("digits", out) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_default_needs_neither_scikit_learn_nor_pandas(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from components import prepare\n"
        f"prepare.main(['--dataset', {str(tmp_path / 'out')!r}])\n"
        "heavy = {'sklearn', 'scipy', 'pandas', 'torch', 'dvc', 'mlflow', 'PIL'}\n"
        "print(heavy & set(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert done.stdout == "set()\n"


def test_the_run_is_told_of_its_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TREFOIL_TRACKING", str(tmp_path / "spool"))
    monkeypatch.setenv("TREFOIL_STEP", "prepare")
    assert run("digits", tmp_path / "out", "--md5", DIGITS_MD5) == 0
    lines = (tmp_path / "spool" / "prepare.jsonl").read_text()
    assert f'"digest": "{DIGITS_MD5}"' in lines or f'"digest":"{DIGITS_MD5}"' in lines
