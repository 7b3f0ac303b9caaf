"""The whole pipeline on Vertex AI, rehearsed: it leaves what it leaves here, and it serves."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.gcp import PROVIDER, GcpSettings
from infra.gcp.session import connected
from infra.local import endpoint
from tests.pipelines.test_cli import RUN, cli

_GATE = {"fd": None, "bits_per_dim": None, "champion": False}
_SHORT = ["--param", "steps=2", "--param", f"gate={json.dumps(_GATE)}", "--json"]
_STEPS = ("champion", "prepare", "train", "evaluate")
_PLACE = re.compile(r"\d+/[^/]+/(?P<step>\w+)_\d+/(?P<file>.+)")
"""Where Vertex AI puts an artefact: the project's number, the job, the task, the output."""


def _ran(workspace: Path, *words: str) -> dict[str, Any]:
    done = cli(workspace, RUN, *_SHORT, *words)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _here(workspace: Path, run_id: str) -> Iterator[tuple[str, str]]:
    """Files of the steps' outputs by step and name, each with its digest."""
    for step in _STEPS:
        outputs = workspace / "runs" / run_id / "steps" / step / "outputs/outputs"
        for folder, _, names in os.walk(outputs, followlinks=True):
            for name in names:
                file = Path(folder, name)
                digest = hashlib.sha256(file.read_bytes()).hexdigest()
                yield f"{step}/{file.relative_to(outputs).as_posix()}", digest


def _there(settings: GcpSettings, run_id: str) -> Iterator[tuple[str, str]]:
    """The same of what lies in Cloud Storage."""
    store = connected(settings.project, settings.region).store(settings.bucket)
    prefix = f"{settings.prefix}/runs/{run_id}/"
    for each in store.list(prefix):
        found = _PLACE.fullmatch(each.key.removeprefix(prefix))
        if found and found["step"] in _STEPS:
            digest = hashlib.sha256(store.get(each.key) or b"").hexdigest()
            yield f"{found['step']}/{found['file']}", digest


@pytest.mark.timeout(600)
def test_what_it_leaves_is_what_it_leaves_here_and_its_endpoint_is_there(tmp_path: Path) -> None:
    """Another place must give the same model, to the bit, and the same numbers of it."""
    mine, cloud = tmp_path / "mine", tmp_path / "cloud"
    here = _ran(mine)
    endpoint.stop(workspace=mine, name="digits-vae")  # its server would outlive the test
    there = _ran(cloud, "--provider", "gcp", "--rehearse", "--set", "image_tag=1", "--spot")
    assert there["metrics"] == here["metrics"]
    apart = cloud / "rehearsal/gcp"
    settings = PROVIDER.made_up(GcpSettings(workspace=str(apart)), apart)
    with PROVIDER.rehearse(settings, apart, None):
        left = dict(_here(mine, here["run_id"]))
        assert "train/model/model.safetensors" in left
        assert dict(_there(settings, there["run_id"])) == left
        google = connected(settings.project, settings.region)
        listed = google.ask("endpoints.list", "list endpoints", parent=google.parent)
        (served,) = listed["endpoints"]
        assert served["displayName"] == "digits-vae"
        assert len(served["deployedModels"]) == 1
