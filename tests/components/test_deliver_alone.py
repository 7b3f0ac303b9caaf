"""Steps that nobody collects from, as in containers, send what they tell themselves."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from infra import mlflow
from tests.served import ROOT
from tests.spooled import RUN, stored
from tests.tracked import made_template, made_uri, step  # noqa: F401  fixtures work by being here


def test_it_delivers_into_the_run_that_an_orchestrator_made(
    tmp_path: Path,
    uri: str,
) -> None:
    """KFP's plugin makes a run for each task and sets MLFLOW_RUN_ID; it ends it, too."""
    client = mlflow.connect(uri)
    theirs = client.create_run(client.create_experiment("kfp"), run_name="their task").info
    environment = {
        "MLFLOW_TRACKING_URI": uri, "MLFLOW_RUN_ID": theirs.run_id, "TREFOIL_RUN_ID": "x",
        "MLFLOW_EXPERIMENT_ID": theirs.experiment_id, "TREFOIL_STEP": "train",
    }  # fmt: skip
    code = (
        "from components import tracking\n"
        "with tracking.open() as track:\n"
        "    track.metrics({'loss': 0.5}, 7)\n    track.params({'lr': 1})"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True,
                   env={**os.environ, "TMPDIR": str(tmp_path), **environment})  # fmt: skip
    runs = stored(uri)
    assert set(runs) == {"their task"}
    found = runs["their task"]
    assert (found.data.metrics["loss"], found.data.params) == (0.5, {"lr": "1"})
    assert found.info.status == "RUNNING", "its end is theirs to tell"
    assert not list(tmp_path.glob("trefoil-tracking-*")), "nothing is left behind"


def test_two_steps_alone_share_the_run_of_the_pipeline(tmp_path: Path, uri: str) -> None:
    """Containers without a common disk: each starts its own sender, at once."""
    code = (
        "import os\nfrom components import tracking\n"
        "with tracking.open() as track:\n"
        "    track.params({'who': os.environ['TREFOIL_STEP']})\n"
        "    track.run_ended('failed') if os.environ['TREFOIL_STEP'] == 'b' else None"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code], cwd=ROOT,
            env={**os.environ, "MLFLOW_TRACKING_URI": uri, "TREFOIL_STEP": name,
                 "TREFOIL_RUN_ID": RUN, "TMPDIR": str(tmp_path)},
        )
        for name in ("a", "b")
    ]  # fmt: skip
    assert [process.wait() for process in processes] == [0, 0]
    runs = stored(uri)
    assert set(runs) == {RUN, "a", "b"}
    assert all(runs[n].data.tags["mlflow.parentRunId"] == runs[RUN].info.run_id for n in "ab")
    assert (runs["a"].info.status, runs[RUN].info.status) == ("FINISHED", "FAILED")


def test_a_step_without_any_orchestrator_is_one_run(tmp_path: Path, uri: str) -> None:
    step("report", "--status", '{"state": "SUCCEEDED"}', MLFLOW_TRACKING_URI=uri,
         TMPDIR=str(tmp_path))  # fmt: skip
    [run] = stored(uri).values()
    assert run.info.run_name.startswith("report-")
    assert run.info.status == "FINISHED"
    assert run.data.tags["trefoil.ending"] == "succeeded"
