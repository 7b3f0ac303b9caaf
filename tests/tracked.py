"""What tests of tracking and the registry share: databases, spools, what earlier steps leave."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.served import ROOT, write_model

METRICS = {"bits_per_dim": 2.1, "fd": 1.5}


@pytest.fixture(scope="session", name="template")
def made_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow database, made once: MLflow takes a second for it."""
    from infra import mlflow

    file = tmp_path_factory.mktemp("template") / "mlflow.db"
    mlflow.connect(f"sqlite:///{file}")
    return file


@pytest.fixture(name="uri")
def made_uri(template: Path, tmp_path: Path) -> str:
    """The address of an empty database of the test's own."""
    (tmp_path / "ws" / "mlflow").mkdir(parents=True)
    shutil.copyfile(template, tmp_path / "ws" / "mlflow" / "mlflow.db")
    return f"sqlite:///{tmp_path / 'ws' / 'mlflow' / 'mlflow.db'}"


def outputs(
    place: Path, *, seed: int = 0, champion: dict[str, Any] | None = None, **metrics: float | None
) -> Path:
    """What prepare, train and evaluate leave: dataset/, model/, evaluation/."""
    place.mkdir(parents=True, exist_ok=True)
    model = write_model(place / "model", seed=seed)
    (model / "config.json").write_text(json.dumps({"recipe": "vae"}))
    (place / "dataset").mkdir()
    schema = {"name": "digits", "source": {"md5": "0123456789abcdef" * 2}}
    (place / "dataset" / "schema.json").write_text(json.dumps(schema))
    (place / "evaluation").mkdir()
    found = {
        "metrics": METRICS | metrics,
        "champion": champion,
        "gate": {"passed": True, "reasons": []},
    }
    (place / "evaluation" / "metrics.json").write_text(json.dumps(found))
    return place


def step(
    name: str, *arguments: object, check: bool = True, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a step as a process of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TREFOIL_")}
    return subprocess.run(
        [sys.executable, "-m", f"components.{name}", *map(str, arguments)],
        cwd=ROOT, env={**kept, **environment}, check=check, text=True, capture_output=True,
    )  # fmt: skip


def lines(file: Path) -> list[dict[str, Any]]:
    """What a spool file holds."""
    return [json.loads(line) for line in file.read_text().splitlines()]
