"""The whole pipeline on Azure ML, rehearsed: it leaves what it leaves here."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.azure import PROVIDER, AzureSettings
from infra.azure.session import connected
from infra.azure.store import Blobs
from infra.local import endpoint
from tests.pipelines.test_cli import RUN, cli

_GATE = {"fd": None, "bits_per_dim": None, "champion": False}
_SHORT = ["--param", "steps=2", "--param", f"gate={json.dumps(_GATE)}", "--json"]
_STEPS = ("champion", "prepare", "train", "evaluate")


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


def _there(settings: AzureSettings, run_id: str) -> Iterator[tuple[str, str]]:
    """The same of what lies in storage, beside which the launcher keeps its own."""
    store = Blobs(connected(settings), settings.datastore)
    prefix = f"{settings.prefix}/runs/{run_id}/"
    for each in store.list(prefix):
        place, mark, name = each.key.removeprefix(prefix).partition("/artifact/")
        step, _, output = place.partition("/")
        if mark and step in _STEPS:
            yield f"{step}/{output}/{name}", hashlib.sha256(store.get(each.key) or b"").hexdigest()


@pytest.mark.timeout(900)
def test_what_it_leaves_is_what_it_leaves_here(tmp_path: Path) -> None:
    """Another place must give the same model, to the bit, and the same numbers of it."""
    mine, cloud = tmp_path / "mine", tmp_path / "cloud"
    here = _ran(mine)
    endpoint.stop(workspace=mine, name="digits-vae")  # its server would outlive the test
    there = _ran(cloud, "--provider", "azure", "--rehearse", "--set", "image_tag=1")
    assert there["metrics"] == here["metrics"]
    apart = cloud / "rehearsal/azure"
    settings = PROVIDER.made_up(AzureSettings(workspace=str(apart)), apart)
    with PROVIDER.rehearse(settings, apart, None):
        left = dict(_here(mine, here["run_id"]))
        assert "train/model/model.safetensors" in left
        assert dict(_there(settings, there["run_id"])) == left
