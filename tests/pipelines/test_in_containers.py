"""The whole pipeline in containers: the same artefacts as by processes, digest by digest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.images.record import Built, remember
from infra.local.rundir import RunDirectory
from infra.storage import tree, tree_digest
from tests.docker import DOCKER, Docker

pytestmark = DOCKER
SMALL = ["--param", "steps=40", "--param", "gate={}", "--json"]


def run(workspace: Path, *words: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.run", *SMALL, *words],
        env={**os.environ, "TREFOIL_WORKSPACE": str(workspace), "TREFOIL_NETWORK": "none"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def digests(workspace: Path, run_id: str) -> dict[str, str]:
    directory = RunDirectory(workspace, run_id)
    found = {}
    for name in directory.status().steps:
        entry = directory.step(name).entry()
        for output in entry.digests if entry else ():
            found[f"{name}.{output}"] = tree_digest(tree(entry.output(output)))  # type: ignore[union-attr]
    return found


@pytest.fixture
def built(tmp_path: Path, trainer_image: Built) -> Path:
    """A workspace that knows the trainer's image."""
    remember(tmp_path / "containers", trainer_image)
    return tmp_path / "containers"


def test_the_artefacts_are_those_of_processes(docker: Docker, built: Path, tmp_path: Path) -> None:
    """The same code, data and seed must give the same model wherever it is trained."""
    there = run(built, "--runner", "docker")
    here = run(tmp_path / "processes")
    found = digests(built, there["run_id"])
    assert found == digests(tmp_path / "processes", here["run_id"])
    assert {"prepare.dataset", "train.model", "evaluate.evaluation"} <= set(found)
