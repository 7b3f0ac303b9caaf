"""One small job on a real subscription of Azure; costs a cent, and cleans up. Never run so far.

    AZURE_LIVE_SETTINGS=azure.json .venv/bin/python -m pytest -m live_azure -n 0

``azure.json`` is what terraform writes; the images of this commit must be in its registry
(``python -m pipelines image push``), and azure-identity must find credentials (``az login``) with
the roles that terraform gives to people who launch.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
_SETTINGS = os.environ.get("AZURE_LIVE_SETTINGS", "")

pytestmark = [pytest.mark.live_azure, pytest.mark.enable_socket, pytest.mark.timeout(1800)]


def test_one_job_from_its_start_to_its_end(tmp_path: Path) -> None:
    """What no stand-in can: that Azure takes it, pulls the image, runs it, and keeps its log."""
    assert _SETTINGS, "AZURE_LIVE_SETTINGS names no file of settings"
    flags = ["--step", "prepare", "--set", "max_runtime=600", "--max-cost", "1"]
    run_id = ""
    try:
        ended = _verb("run", *flags, workspace=tmp_path)
        run_id = ended["run_id"]
        assert (ended["state"], [each["state"] for each in ended["steps"]]) == (
            "succeeded", ["succeeded"],
        )  # fmt: skip
        status = _verb("status", run_id, workspace=tmp_path)
        assert status["state"] == "succeeded"
        lines = _verb("logs", run_id, workspace=tmp_path)
        assert any("1347 train and 450 test" in line["text"] for line in lines)
    finally:
        if run_id:
            _verb("reap", run_id, "--data", workspace=tmp_path)
    assert run_id not in json.dumps(_verb("reap", workspace=tmp_path))


def _verb(name: str, *words: str, workspace: Path) -> Any:
    command = [sys.executable, "-m", "pipelines", name, *words, "--provider", "azure", "--json"]
    ended = subprocess.run(
        [*command, "--settings", str(Path(_SETTINGS).absolute())],
        cwd=ROOT, env={**os.environ, "TREFOIL_WORKSPACE": str(workspace)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)
