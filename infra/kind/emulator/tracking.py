"""MLflow in a rehearsal: steps are told a database of the rehearsal's own."""

from __future__ import annotations

from pathlib import Path

from infra.kind.emulator.runs import Run
from infra.plan import Plan, Step

_URI, _NAME = "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"


def told(run: Run, workspace: Path, *, plugin: bool) -> tuple[Plan, dict[str, str]]:
    """The run's plan and what is in the environment of all its steps, MLflow's address changed.

    What all steps share is no part of their own environment here, for KFP's cache does not look at
    it. With ``plugin`` each step has its run in MLflow too: KFP's plugin makes one for the pipeline
    run and one for each task, and puts its variables in the place of those that are there.
    """
    from infra import mlflow

    uri = mlflow.address({"TREFOIL_WORKSPACE": str(workspace)})
    ids = _made(run, uri) if plugin else {}
    environments = [set(step.env.items()) for step in run.plan.steps]
    shared = dict(set.intersection(*environments))

    def changed(step: Step) -> Step:
        own = {name: value for name, value in step.env.items() if name not in shared}
        return step._replace(env={**own, **ids.get(step.name, {})})

    plan = run.plan._replace(steps=tuple(changed(step) for step in run.plan.steps))
    return plan, {**shared, _URI: uri} if plugin or _URI in shared else shared


def _made(run: Run, uri: str) -> dict[str, dict[str, str]]:
    """The variables of each step, as the plugin sets them."""
    from infra import mlflow

    client = mlflow.connect(uri)
    names = {step.env.get(_NAME, "") for step in run.plan.steps} - {""}
    where = mlflow.experiment(client, uri, {_NAME: next(iter(names), "Default")})
    parent = client.create_run(where, run_name=run.kept["posted"]["display_name"])
    found = {}
    for step in run.plan.steps:
        tags = {"mlflow.parentRunId": parent.info.run_id}
        made = client.create_run(where, run_name=step.task[-1], tags=tags)
        found[step.name] = {"MLFLOW_RUN_ID": made.info.run_id, "MLFLOW_EXPERIMENT_ID": where}
    return found
