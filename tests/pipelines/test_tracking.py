"""A run's tracking: its sender is started once a step has told anything, with what it must know."""

from __future__ import annotations

from pathlib import Path

from components import spool, tracking
from infra import mlflow
from infra.plan import Json
from pipelines.tracking import sending
from tests.tracked import made_template, made_uri  # noqa: F401  fixtures work by being here


def test_the_pipelines_parameters_reach_its_run(tmp_path: Path, uri: str) -> None:
    """In MLflow's table of runs that is what one run is told from another by."""
    folder = tmp_path / "generative-0a1b2c3d-1"
    folder.mkdir()
    spool.append(folder / "train.jsonl", {"open": "train", "attempt": "1", "at": spool.now()})
    parameters: dict[str, Json] = {"recipe": "vae", "seed": 3, "where": "http://me:hunter2@host/x"}
    with sending(folder, lambda: {"MLFLOW_TRACKING_URI": uri}, parameters):
        pass
    tracking.finish(folder, "succeeded")
    assert tracking._started[-1].wait(60) == 0
    client = mlflow.connect(uri)
    runs = client.search_runs([each.experiment_id for each in client.search_experiments()])
    found = {run.info.run_name: run.data.params for run in runs}
    shown = {"recipe": "vae", "seed": "3", "where": "http://***@host/x"}
    assert found == {folder.name: shown, "train": {}}
