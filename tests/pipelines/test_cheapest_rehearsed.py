"""A run that finds no machine in one rehearsed cloud ends in the next, and is found there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
NOOP = ROOT / "tests" / "benchmarks" / "noop.yaml"


def said(workspace: Path, *words: str) -> tuple[Any, str]:
    """What a command answers, and what it says beside."""
    environment = {
        "PATH": "/usr/bin:/bin", "TREFOIL_WORKSPACE": str(workspace),
        "TREFOIL_IMAGE_TAG": "0123456789ab",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", *words, "--provider", "cheapest", "--json"],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout), done.stderr


def test_a_cloud_without_machines_hands_the_run_on(tmp_path: Path) -> None:
    """Through the real SDKs of both: the one is asked no more once the other has the run."""
    run, told = said(
        tmp_path, "pipelines.run", "--pipeline", str(NOOP), "--rehearse", "no-capacity"
    )
    assert (run["provider"], run["state"]) == ("gcp", "succeeded")
    assert {step["state"] for step in run["steps"]} == {"succeeded"}
    assert "not on aws: AWS has no such machine free for first now" in told
    assert "that run has ended; going on with gcp, the next cheapest" in told
    found, _ = said(tmp_path, "pipelines", "status", "--rehearse", run["run_id"])
    assert (found["provider"], found["state"]) == ("gcp", "succeeded")
