"""The experiment that runs go to, and the one MLflow run that stands for a pipeline run."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from infra.errors import InputError
from infra.mlflow.database import file_of, locked
from infra.mlflow.errors import translated

if TYPE_CHECKING:
    from mlflow import MlflowClient

RUN_ID, KIND = "trefoil.run_id", "trefoil.kind"


def experiment(client: MlflowClient, uri: str, environment: Mapping[str, str]) -> str:
    """Id of the experiment that the environment names, made where there is none.

    Raises InputError where it was deleted.
    """
    if found := environment.get("MLFLOW_EXPERIMENT_ID"):
        return found
    from mlflow.exceptions import MlflowException

    name = environment.get("MLFLOW_EXPERIMENT_NAME") or "trefoil"
    there = client.get_experiment_by_name(name)
    if there is None:
        file = file_of(uri)
        place = (file.parent / "mlartifacts").as_uri() if file else None
        try:
            return str(client.create_experiment(name, artifact_location=place))
        except MlflowException as error:
            there = client.get_experiment_by_name(name)  # somebody else made it just now
            if there is None:
                raise translated(error, uri) from error
    if there.lifecycle_stage != "active":
        raise InputError(
            f"the MLflow experiment {name} was deleted; choose another with the setting experiment,"
            f" or bring it back: mlflow experiments restore -x {there.experiment_id}"
        )
    return str(there.experiment_id)


def pipeline_run(
    client: MlflowClient,
    uri: str,
    where: str,
    run_id: str,
    tags: Mapping[str, str],
    began: int | None = None,
) -> str:
    """MLflow's id of the run that stands for a pipeline run, made where there is none.

    Whoever comes first makes it. On one machine a lock sees to that. On a server, two that come at
    once may both make one; then both take the older, which is why it begins when it is made and
    not when it ``began``, and the other is removed.
    """
    file = file_of(uri)
    with locked(file) if file else contextlib.nullcontext():
        if found := _runs(client, where, run_id):
            return found[0]
        made = client.create_run(
            where,
            start_time=began if began and file else time.time_ns() // 1_000_000,
            tags={**tags, RUN_ID: run_id, KIND: "run"},
            run_name=run_id,
        )
        mine = str(made.info.run_id)
        first = mine if file else _runs(client, where, run_id)[0]
        if first != mine:
            client.delete_run(mine)
        return first


def _runs(client: MlflowClient, where: str, run_id: str) -> list[str]:
    found = client.search_runs(
        [where],
        f"tags.`{RUN_ID}` = '{run_id}' and tags.`{KIND}` = 'run'",
        order_by=["attributes.start_time ASC", "attributes.run_id ASC"],
        max_results=10,
    )
    return [str(run.info.run_id) for run in found]
