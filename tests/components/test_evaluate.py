"""evaluate from files to files: what it writes, whom it lets pass, what it refuses."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import safetensors.torch
import torch

from components import evaluate, prepare, train
from training.errors import InputError
from training.metrics import ANCHORS, METRICS
from training.metrics.image import ImageJudge

ROOT = Path(__file__).parents[2]
_ANCHORS: dict[str, dict[str, dict[str, float]]] = {}
TINY: dict[str, object] = {
    "steps": 700, "latent": 8, "hidden": 128, "layers": 1, "beta": 1, "lr": 5e-3, "warmup": 0,
    "weight_decay": 0, "ema": 0,
}  # fmt: skip
"""The least that beats the pixel sampler's bits/dim, in a second."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits, a small model of them, and a place where no champion is."""
    folder = tmp_path_factory.mktemp("evaluate")
    prepare.main(["--dataset", str(folder / "data")])
    fit(folder / "data", folder / "model", TINY)
    hold(folder / "nobody", None)
    return folder


@pytest.fixture(autouse=True)
def _what_is_the_same_is_measured_once(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """Anchors are of the data alone, and pictures are looked at where a test asks for them."""
    anchors, pictures = ImageJudge.anchors, ImageJudge.pictures

    def once(judge: ImageJudge) -> Any:
        key = hashlib.sha256(judge._train.tobytes() + judge._stored.numpy().tobytes()).hexdigest()
        if key not in _ANCHORS:
            _ANCHORS[key] = anchors(judge)
        return {name: dict(values) for name, values in _ANCHORS[key].items()}

    def drawn(judge: ImageJudge, model: Any, seed: int, history: Any, folder: Path) -> None:
        if "draws" in request.fixturenames:
            pictures(judge, model, seed, history, folder)

    monkeypatch.setattr(ImageJudge, "anchors", once)
    monkeypatch.setattr(ImageJudge, "pictures", drawn)


@pytest.fixture
def draws() -> None:
    """For tests of which the pictures are a part."""


def fit(dataset: Path, model: Path, config: dict[str, object]) -> None:
    train.main(["--dataset", str(dataset), "--model", str(model), "--config", json.dumps(config)])


def hold(folder: Path, version: str | None, model: Path | None = None) -> Path:
    """A champion's directory."""
    folder.mkdir()
    (folder / "champion.json").write_text(json.dumps({"version": version}))
    if model:
        shutil.copytree(model, folder / "model")
    return folder


def judged(place: Path, out: Path, **given: object) -> tuple[bool, dict[str, Any]]:
    """Run the step in this process; what it wrote."""
    asked = {
        "dataset": place / "data", "model": place / "model", "champion": place / "nobody",
        "evaluation": out / "evaluation", "passed": out / "passed", **given,
    }  # fmt: skip
    evaluate.main([word for name, value in asked.items() for word in (f"--{name}", str(value))])
    found = json.loads((out / "evaluation/metrics.json").read_text())
    return {"true": True, "false": False}[(out / "passed").read_text()], found


def reasons(found: dict[str, Any]) -> dict[str, str]:
    return {reason["rule"]: reason["why"] for reason in found["gate"]["reasons"]}


@pytest.mark.usefixtures("draws")
def test_a_model_is_judged_beside_its_anchors(place: Path, tmp_path: Path) -> None:
    passed, found = judged(place, tmp_path)
    assert passed is found["gate"]["passed"] is True
    assert found["format"] == 1
    assert found["features"] == "digits-cnn-v1"
    assert found["champion"] is None
    assert found["metrics"].keys() == METRICS.keys()
    assert found["anchors"].keys() == set(ANCHORS)
    numbers, pixels = found["metrics"], found["anchors"]["pixels"]
    assert 1.8 < numbers["iwae16_bits_per_dim"] < numbers["bits_per_dim"] < pixels["bits_per_dim"]
    assert reasons(found)["bits_per_dim max"].endswith("is at most 2.438 of pixels")
    names = {file.name for file in (tmp_path / "evaluation/figures").iterdir()}
    assert names == {"samples.png", "reconstructions.png", "interpolation.png", "curves.png"}


def test_the_same_call_writes_the_same_bytes(place: Path, tmp_path: Path) -> None:
    command: list[str | Path] = [
        sys.executable, "-m", "components.evaluate", "--dataset", place / "data",
        "--model", place / "model", "--champion", place / "nobody", "--gate", '{"fd": {"min": 0}}',
        "--seed", "3",
    ]  # fmt: skip
    written = []
    for name in ("a", "b"):
        out = tmp_path / name
        own: list[str | Path] = ["--evaluation", out / "evaluation", "--passed", out / "passed"]
        subprocess.run([*command, *own], check=True, cwd=ROOT, env={**os.environ, "LC_ALL": "C"})
        files = sorted(file for file in out.rglob("*") if file.is_file())
        written.append({file.relative_to(out): file.read_bytes() for file in files})
    assert written[0] == written[1]
    assert len(written[0]) == 6


def test_a_limit_that_is_missed_says_no(place: Path, tmp_path: Path) -> None:
    passed, found = judged(place, tmp_path, gate='{"fd": {"max": "real"}, "active_units": null}')
    assert passed is found["gate"]["passed"] is False
    assert "is above the limit" in reasons(found)["fd max"]
    assert "active_units min" not in reasons(found)  # null took the recipe's limit away
    failed = [reason for reason in found["gate"]["reasons"] if not reason["passed"]]
    assert [reason["rule"] for reason in failed] == ["fd max"]
    assert failed[0]["value"] > failed[0]["limit"]


@pytest.mark.parametrize(
    ("gate", "complaint"),
    [
        ('{"bits_per_dmi": {"max": 2}}', "did you mean bits_per_dim"),
        ('{"fd": {"max": "pixles"}}', "did you mean pixels"),
        ("nonsense", "is not JSON"),
    ],
)
def test_a_gate_that_is_none_is_refused_and_leaves_nothing(
    place: Path, tmp_path: Path, gate: str, complaint: str
) -> None:
    with pytest.raises(InputError, match=complaint):
        judged(place, tmp_path, gate=gate)
    assert not list(tmp_path.iterdir())


def test_an_equal_of_the_champion_passes(place: Path, tmp_path: Path) -> None:
    champion = hold(tmp_path / "champion", "3", place / "model")
    passed, found = judged(place, tmp_path, champion=champion)
    assert passed
    assert found["champion"] == {"version": "3", "metrics": found["metrics"]}
    assert "is not worse than champion 3's" in reasons(found)["fd champion"]


def test_a_worse_model_than_the_champion_is_held_back_unless_the_gate_leaves_it_out(
    place: Path, tmp_path: Path
) -> None:
    champion = hold(tmp_path / "champion", "3", place / "model")
    fit(place / "data", tmp_path / "model", {**TINY, "steps": 30})
    worse = {"champion": champion, "model": tmp_path / "model"}
    lenient = {"bits_per_dim": None, "fd": None, "active_units": None}
    passed, found = judged(place, tmp_path, **worse, gate=json.dumps(lenient))
    assert not passed
    assert "is worse than champion 3's" in reasons(found)["bits_per_dim champion"]
    assert found["champion"]["metrics"]["bits_per_dim"] < found["metrics"]["bits_per_dim"]
    alone = json.dumps({**lenient, "champion": False})
    passed, found = judged(place, tmp_path / "alone", **worse, gate=alone)
    assert (passed, found["champion"]) == (True, None)
    assert reasons(found).keys() == {"memorisation min"}


def test_a_champion_of_other_images_is_named_and_not_compared(place: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "other.npz", images=rng.integers(0, 256, (60, 5, 5), dtype=np.uint8))
    prepare.main(["--data", str(tmp_path / "other.npz"), "--dataset", str(tmp_path / "data")])
    fit(tmp_path / "data", tmp_path / "model", {**TINY, "steps": 5})
    champion = hold(tmp_path / "champion", "7", tmp_path / "model")
    passed, found = judged(place, tmp_path, champion=champion)
    assert passed
    assert found["champion"] == {"version": "7", "metrics": None}
    assert reasons(found)["champion"] == (
        "champion 7 is not compared with: it models images of 1x5x5 in 256 levels, "
        "and this data is images of 1x8x8 in 17 levels"
    )
    with pytest.raises(InputError, match=r"cannot be judged by .*it models images of 1x5x5"):
        judged(place, tmp_path, model=tmp_path / "model")


def test_a_champion_that_cannot_be_loaded_is_named_and_not_compared(
    place: Path, tmp_path: Path
) -> None:
    champion = hold(tmp_path / "champion", "2", place / "model")
    (champion / "model/model.safetensors").write_bytes(b"cut off")
    passed, found = judged(place, tmp_path, champion=champion)
    assert passed
    assert "champion 2 is not compared with" in reasons(found)["champion"]


def test_other_images_than_digits_are_judged_in_axes_of_their_own(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (80, 6, 6, 3), dtype=np.uint8)
    np.savez(tmp_path / "colour.npz", images=pixels)
    prepare.main(["--data", str(tmp_path / "colour.npz"), "--dataset", str(tmp_path / "data")])
    fit(tmp_path / "data", tmp_path / "model", {**TINY, "steps": 20})
    hold(tmp_path / "nobody", None)
    gate = '{"fd": null, "bits_per_dim": null, "active_units": null, "memorisation": null}'
    passed, found = judged(tmp_path, tmp_path / "out", gate=gate)
    assert passed
    assert found["features"].startswith("pca-32-")
    assert "score" not in found["metrics"]
    with pytest.raises(InputError, match="limits score, which is not measured here"):
        judged(tmp_path, tmp_path / "again", gate='{"score": {"min": 5}}')


def test_a_limit_of_the_data_that_cannot_be_measured_holds_nobody_back(tmp_path: Path) -> None:
    """Held-out images that all are copies leave no distance to hold samples against."""
    pixels = np.zeros((40, 6, 6), dtype=np.uint8)
    pixels[::2, 0, 0] = 255
    np.savez(tmp_path / "copies.npz", images=pixels)
    prepare.main(["--data", str(tmp_path / "copies.npz"), "--dataset", str(tmp_path / "data")])
    fit(tmp_path / "data", tmp_path / "model", {**TINY, "steps": 20})
    hold(tmp_path / "nobody", None)
    gate = '{"fd": null, "bits_per_dim": null, "active_units": null}'
    passed, found = judged(tmp_path, tmp_path / "out", gate=gate)
    assert passed
    assert reasons(found)["memorisation"] == "memorisation cannot be measured on this data"
    with pytest.raises(InputError, match="limits memorisation, which is not measured here"):
        judged(tmp_path, tmp_path / "again", gate='{"memorisation": {"min": 0.5}}')


@pytest.mark.usefixtures("draws")
def test_a_model_of_no_numbers_fails_with_a_sentence(place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "model", tmp_path / "model")
    file = tmp_path / "model/model.safetensors"
    weights = safetensors.torch.load(file.read_bytes())
    name = next(name for name in weights if name.startswith("decoder") and "bias" in name)
    weights[name] = torch.full_like(weights[name], float("nan"))
    file.write_bytes(safetensors.torch.save(weights))
    passed, found = judged(place, tmp_path, model=tmp_path / "model")
    assert not passed
    assert found["metrics"]["fd"] is found["metrics"]["bits_per_dim"] is None
    assert reasons(found)["fd max"] == "fd is not a finite number"


def test_bad_input_is_told_in_one_sentence(place: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no prepared data set"):
        judged(place, tmp_path, dataset=tmp_path)
    with pytest.raises(InputError, match="is no model"):
        judged(place, tmp_path, model=tmp_path)
    (tmp_path / "champion.json").write_text("{}")
    with pytest.raises(InputError, match="does not say which version"):
        judged(place, tmp_path, champion=tmp_path)
    shutil.copytree(place / "model", tmp_path / "model")
    (tmp_path / "model/history.json").write_text("[1]")
    with pytest.raises(InputError, match="is not an object of curves"):
        judged(place, tmp_path, model=tmp_path / "model")
    assert not (tmp_path / "passed").exists()


@pytest.mark.usefixtures("draws")
def test_what_is_measured_is_tracked(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TREFOIL_TRACKING", str(tmp_path / "spool"))
    monkeypatch.setenv("TREFOIL_STEP", "evaluate")
    _, found = judged(place, tmp_path)
    told = (tmp_path / "spool/evaluate.jsonl").read_text().splitlines()
    lines = [json.loads(line) for line in told]
    points = [point for line in lines for point in line.get("metrics", [])]
    numbers = {name: value for _, _, values in points for name, value in values.items()}
    assert numbers["fd"] == pytest.approx(found["metrics"]["fd"])
    assert numbers["anchor/pixels/bits_per_dim"] == pytest.approx(2.438, abs=0.001)
    assert any(line.get("artifact", "").endswith("figures") for line in lines)
    assert list((tmp_path / "spool/files").rglob("samples.png"))


def test_held_out_rows_decide_and_training_rows_do_not(place: Path, tmp_path: Path) -> None:
    """Bits per dimension are those of test.parquet: other rows there, another number."""
    shutil.copytree(place / "data", tmp_path / "data")
    file = tmp_path / "data/test.parquet"
    table = pq.read_table(file)
    half = table.slice(0, 100)
    pq.write_table(half, file)
    schema = json.loads((tmp_path / "data/schema.json").read_text())
    schema["splits"]["test"]["rows"] = 100
    (tmp_path / "data/schema.json").write_text(json.dumps(schema))
    _, whole = judged(place, tmp_path / "whole")
    _, part = judged(place, tmp_path / "part", dataset=tmp_path / "data")
    assert whole["metrics"]["bits_per_dim"] != part["metrics"]["bits_per_dim"]
