"""A registered version is of use to MLflow's own tools."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.serving.operations import Model
from tests.registered import NAME, call
from tests.tracked import made_template, made_uri, outputs  # noqa: F401  fixtures work by being here


def test_nothing_in_it_is_pickled(
    tmp_path: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    call(outputs(tmp_path / "a"), uri, monkeypatch)
    suffixes = {file.suffix for file in (tmp_path / "ws" / "mlflow" / "mlartifacts").rglob("*.*")}
    assert suffixes == {".py", ".yaml", ".txt", ".json", ".onnx", ".npz"}, "npz is the test model's"


def test_mlflow_itself_runs_the_version(
    tmp_path: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a folder without our code, by MLflow's own command; the rest by pyfunc."""
    place = outputs(tmp_path / "a")
    call(place, uri, monkeypatch)
    images = np.random.default_rng(0).random((3, 8, 8)).astype(np.float32)
    model = Model(place / "model")
    asked: dict[str, tuple[dict[str, Any], Any]] = {
        "score": ({}, model.score(images)),
        "reconstruct": ({"operation": "reconstruct"}, model.reconstruct(images)),
        "sample": ({"operation": "sample", "n": 2, "seed": 7}, model.sample(model.draw(2, 7))),
    }
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    params, expected = asked.pop("sample")
    file = tmp_path / "in.json"
    file.write_text(json.dumps({"inputs": images.tolist(), "params": params}))
    run = subprocess.run(
        [Path(sys.executable).with_name("mlflow"), "models", "predict", "-m",
         f"models:/{NAME}@champion", "--env-manager", "local", "-i", str(file)],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout[run.stdout.index('{"predictions"') :])["predictions"]
    np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of MLflow's own, as it is imported
        from mlflow.pyfunc import load_model
    loaded = load_model(f"models:/{NAME}@champion")
    for params, expected in asked.values():
        np.testing.assert_allclose(loaded.predict(images, params=params), expected, rtol=1e-5)


def test_a_wrong_operation_is_refused_by_name(tmp_path: Path) -> None:
    from components.pyfunc import _load_pyfunc

    model = _load_pyfunc(str(outputs(tmp_path / "a") / "model"))
    assert model.predict(np.zeros((2, 8, 8))).shape == (2,)
    with pytest.raises(ValueError, match="operation is 'paint'; this model has"):
        model.predict(np.zeros((2, 8, 8)), {"operation": "paint"})
