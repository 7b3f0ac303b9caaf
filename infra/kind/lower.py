"""Plan -> Request for Kubeflow Pipelines: the run that is posted, and the experiment it is in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from infra.cloud.overrides import over
from infra.errors import SettingsError
from infra.images.catalogue import IMAGES
from infra.images.names import run_as
from infra.ir.spec import Node, label_of, stamped
from infra.kind import FETCHING, SERVING, KindSettings, checkpoints, jobs
from infra.kind.pods import pod
from infra.plan import Plan, Request, Step

_HERE = ("127.0.0.1", "localhost", "::1")
_OF_MLFLOW = ("MLFLOW_", "AWS_", "AZURE_", "GOOGLE_")
"""How the variables begin by which MLflow's client reaches its server and the store behind it."""


def lower(plan: Plan, settings: KindSettings, run_id: str) -> Request:
    """The body is what is sent, but for the experiment's id, which only the server knows.

    Pure where ``image_tag`` is set; else git is asked for the revision of this code.
    Raises SettingsError, UnsupportedError, and InputError where git cannot tell.
    """
    images, commits = run_as([step.image for step in plan.steps], settings)
    environment = {
        "TREFOIL_PROVIDER": "kind",
        "TREFOIL_PLAN_DIGEST": plan.digest(),
        **_environment(settings, images),
    }

    kept = checkpoints.kept(plan, settings, run_id)

    def container(step: Step, given: Node) -> Node:
        found = {**given, "image": images[step.image]}
        commit = {"TREFOIL_GIT_COMMIT": commits[step.image]} if step.image in commits else {}
        env = {**environment, **commit, **kept.get(step.name, {}), **step.env}
        env["TREFOIL_RUN_ID"] = run_id
        found["env"] = [{"name": name, "value": value} for name, value in env.items()]
        if step.resources.accelerators:
            gpu = _gpu(step, settings)
            found["resources"] = {**given.get("resources", {}), "accelerator": gpu}
        if step.resources.nodes > 1:
            return jobs.launcher(step, found, pod(step, settings), settings)
        return found

    jobs.require_alone(plan)
    spec = stamped(plan, container)
    executors = {
        label_of(spec, step): _pod(step, settings, step.name in kept) for step in plan.steps
    }
    platforms = {"kubernetes": {"deploymentSpec": {"executors": executors}}}
    given = {name: value for name, value in plan.parameters.items() if value is not None}
    run: dict[str, Any] = {
        "display_name": run_id,
        "description": plan.description,
        "pipeline_spec": {"pipeline_spec": spec, "platform_spec": {"platforms": platforms}},
        "runtime_config": {"parameters": given},
    }
    body = over({"experiment": settings.experiment, "run": run}, settings.overrides)
    return Request("kind", run_id, plan, body, tuple(_notes(plan, settings, images)))


def _pod(step: Step, settings: KindSettings, keeps: bool) -> Node:
    found = pod(step, settings)
    return jobs.sharing(found, settings) if keeps or step.resources.nodes > 1 else found


def price(_plan: Plan, _settings: KindSettings) -> float:
    """A cluster of one's own bills nothing."""
    return 0.0


def ground(_settings: KindSettings) -> dict[str, str]:
    """Endpoints of a cluster are found by kubectl's configuration: there is nothing to tell."""
    return {}


def environment(settings: KindSettings) -> dict[str, str]:
    """What the step deploy is told, for whoever deploys without a run. Raises as ``lower`` does."""
    return _environment(settings, run_as(IMAGES, settings)[0])


def _environment(settings: KindSettings, images: Mapping[str, str]) -> dict[str, str]:
    """What every step finds in its environment, whatever the pipeline."""
    found = {variable: images[name] for name, variable in SERVING.items() if name in images}
    fetching = {name: at for name, at in settings.secrets.items() if name.startswith(_OF_MLFLOW)}
    if fetching:
        found[FETCHING] = json.dumps(fetching)
    if settings.tracking_uri != "none":
        found["MLFLOW_TRACKING_URI"] = _tracking(settings)
        found["MLFLOW_EXPERIMENT_NAME"] = settings.experiment
    return found


def _tracking(settings: KindSettings) -> str:
    """MLflow as the steps see it: what is on this machine has another address there."""
    for name in ("tracking_uri", "step_tracking_uri"):
        if "@" in urlsplit(getattr(settings, name)).netloc:
            raise SettingsError(
                f"the setting {name} has a user in it, whom everybody could read in each pod; put "
                "name and password in a secret of the cluster and name their places by the "
                "setting secrets, for MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
            )
    host = urlsplit(settings.tracking_uri).hostname
    if not host:
        raise SettingsError(
            f"steps on a cluster do not reach MLflow at {settings.tracking_uri}; the setting "
            "tracking_uri is the address of a server, or none"
        )
    return settings.step_tracking_uri if host in _HERE else settings.tracking_uri


def _gpu(step: Step, settings: KindSettings) -> Node:
    """An accelerator as kfp compiles it, by its old and its new names."""
    kind = step.resources.accelerator or ""
    resource = kind if "/" in kind else settings.gpu_resource
    count = str(step.resources.accelerators)
    return {"type": resource, "count": count, "resourceType": resource, "resourceCount": count}


def _notes(plan: Plan, settings: KindSettings, images: Mapping[str, str]) -> Iterator[str]:
    for name, image in images.items():
        if "@" not in image and ":" not in image.rpartition("/")[2]:
            yield f"the image {name} has no tag: the node runs whichever it has, or pulls latest"
    yield from checkpoints.notes(plan, settings)
    for step in plan.steps:
        for platform in step.platforms.keys() - {"kubernetes"}:
            yield f"step {step.name}: its settings of {platform} have no effect here"
        if step.resources.nodes > 1:
            yield from jobs.notes(step, pod(step, settings))
        kind = step.resources.accelerator or ""
        if kind and "/" not in kind:
            yield (
                f"step {step.name}: here a GPU is a {settings.gpu_resource}, whatever its kind; "
                f"node_selector can ask for nodes that have a {kind}"
            )
