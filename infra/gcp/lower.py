"""Plan -> Request for Vertex AI: one CustomJob for a plan of one step, else a PipelineJob.

    pipeline    the PipelineJob, and ``id``, which it is called by
    job         for a plan of one step: a CustomJob
    files       what goes to Cloud Storage before, by name

A pipeline is KFP's own IR: conditions, loops, retries, exit handlers and caching are Vertex AI's to
keep. It is called by its run, so that a repeated submit finds it and two runs never share one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from infra.binding import bound
from infra.cloud.overrides import over
from infra.cloud.stepfile import Left, StepFile, step_file
from infra.errors import SettingsError
from infra.gcp import GcpSettings, costs, jobs, machines
from infra.gcp.jobs import CONTAINER, POOLS, Place
from infra.gcp.names import named
from infra.gcp.serving.requests import SERVER_IMAGE, SERVING, Serving
from infra.images.catalogue import IMAGES
from infra.images.names import run_as
from infra.ir.spec import component_of, label_of, stamped
from infra.plan import Plan, Request, Step

Node: TypeAlias = dict[str, Any]

_REGISTRIES = ("-docker.pkg.dev/", "gcr.io/")
"""What the address of every image in a registry of Google's has in it."""
_NEEDED = ("project", "region", "bucket", "service_account")


def lower(plan: Plan, settings: GcpSettings, run_id: str) -> Request:
    """The body is what is sent.

    Pure where every image is given; else git is asked for the revision of this code. Raises
    SettingsError, UnsupportedError, and InputError where git cannot tell.
    """
    require_settings(settings)
    images, commits = run_as([step.image for step in plan.steps], settings)
    place = Place(settings, run_id, plan.digest(), next(iter(commits.values()), ""))
    lowered = _Lowered(plan, place, images, commits)
    body: Node = {
        "project": settings.project, "region": settings.region, "bucket": settings.bucket,
    }  # fmt: skip
    body |= lowered.alone(plan.steps[0]) if jobs.is_alone(plan) else lowered.pipeline()
    notes = [note for step in plan.steps for note in jobs.notes(step, settings)]
    notes += [
        f"the image {image} is in no registry of Google's; Vertex AI must be able to pull it: push "
        "it to Artifact Registry, and name it by the setting images"
        for image in dict.fromkeys(images[step.image] for step in plan.steps)
        if not any(mark in image for mark in _REGISTRIES)
    ]
    return Request("gcp", run_id, plan, body, (*notes, *costs.notes(plan, settings)))


def price(plan: Plan, settings: GcpSettings) -> float:
    """What the machines cost at most, in US dollars; NaN where a price is not known."""
    return costs.price(plan, settings)


def ground(settings: GcpSettings) -> dict[str, str]:
    """What endpoints stand on, for whoever looks after them."""
    return {SERVING: Serving.of(settings).text()}


def environment(settings: GcpSettings) -> dict[str, str]:
    """What the step deploy is told, for whoever deploys without a run. Raises as ``lower`` does."""
    require_settings(settings)
    return {**ground(settings), **_server(run_as(IMAGES, settings)[0])}


def _server(images: Mapping[str, str]) -> dict[str, str]:
    return {SERVER_IMAGE: images["trefoil-server"]} if "trefoil-server" in images else {}


class _Lowered:
    """What the plan became."""

    def __init__(
        self, plan: Plan, place: Place, images: Mapping[str, str], commits: Mapping[str, str]
    ) -> None:
        self._plan, self._place = plan, place
        self._images, self._commits = images, commits

    def alone(self, step: Step) -> Node:
        """The CustomJob, and the launcher's files."""
        whole, place = bound(self._plan), self._place
        own = {**self._environment(), **_of_step(step)}
        file: StepFile = step_file(
            whole, whole.step(step.name), place.run_id, {**own, **step.env}, _nowhere, CONTAINER
        )
        files = {place.key(f"{file.key}/{name}"): text for name, text in file.files.items()}
        return {"files": files, "job": jobs.alone(step, self._images[step.image], file, place)}

    def pipeline(self) -> Node:
        """The PipelineJob."""
        settings, run_id = self._place.settings, self._place.run_id
        jobs.require_alone(self._plan, settings)
        jobs.require_importable(bound(self._plan))
        given = {name: each for name, each in self._plan.parameters.items() if each is not None}
        job: Node = {
            "displayName": run_id,
            "labels": self._place.labels(),
            "pipelineSpec": self._spec(),
            "runtimeConfig": {
                "gcsOutputDirectory": self._place.uri(),
                "parameterValues": given,
                "failurePolicy": "PIPELINE_FAILURE_POLICY_FAIL_SLOW",
            },
            "serviceAccount": settings.service_account,
        }
        if settings.network:
            job["network"] = settings.network
        if settings.kms_key:
            job["encryptionSpec"] = {"kmsKeyName": settings.kms_key}
        job = over(job, settings.overrides.get("PipelineJob", {}))
        return {"files": {}, "pipeline": {"id": named(run_id), "job": job}}

    def _spec(self) -> Node:
        """The IR, stamped; where a step is a CustomJob, its component takes what that needs."""
        spec = stamped(self._plan, self._container)
        for step in self._plan.steps:
            container = spec["deploymentSpec"]["executors"][label_of(spec, step)]["container"]
            if POOLS in container:
                jobs.declare(component_of(spec, step), container.pop(POOLS))
        return spec

    def _container(self, step: Step, given: Node) -> Node:
        """The container of an executor, as that of a step."""
        settings = self._place.settings
        found = {**given, "image": self._images[step.image]}
        env = {**self._environment(step), **self._kept(step), **step.env}
        found["env"] = [{"name": name, "value": value} for name, value in env.items()]
        if jobs.is_custom(step, settings):
            found.pop("resources", None)
            return jobs.launched(step, found, self._place)
        if step.resources.accelerators:
            asked = machines.accelerator(step, settings)
            found["resources"] = {**given.get("resources", {}), "accelerator": asked}
        return found

    def _kept(self, step: Step) -> dict[str, str]:
        """Where a step that is tried again keeps checkpoints; a CustomJob is told by entry.py."""
        custom = jobs.is_custom(step, self._place.settings)
        if custom or not step.retry.limit or jobs.in_a_loop(step, self._plan):
            return {}
        folder = jobs.mounted(self._place.checkpoints(step.name))
        return {"TREFOIL_CHECKPOINTS": f"{folder}/checkpoints/step"}

    def _environment(self, step: Step | None = None) -> dict[str, str]:
        settings = self._place.settings
        found = {
            "TREFOIL_PROVIDER": "gcp",
            "TREFOIL_RUN_ID": self._place.run_id,
            "TREFOIL_PLAN_DIGEST": self._place.digest,
            **ground(settings),
            **_server(self._images),
        }
        image = step.image if step else self._plan.steps[0].image
        if image in self._commits:
            found["TREFOIL_GIT_COMMIT"] = self._commits[image]
        if settings.tracking_uri != "none":
            found["MLFLOW_TRACKING_URI"] = settings.tracking_uri
            found["MLFLOW_EXPERIMENT_NAME"] = settings.experiment
        return found


def _of_step(step: Step) -> dict[str, str]:
    return {"TREFOIL_STEP": step.name}


def _nowhere(name: str) -> Left:
    raise AssertionError(f"a plan of one step takes nothing of {name}")


def require_settings(settings: GcpSettings) -> None:
    """Raise SettingsError where a setting lacks that every run needs."""
    missing = [name for name in _NEEDED if not getattr(settings, name)]
    if missing:
        variables = ", ".join(f"TREFOIL_{name.upper()}" for name in missing)
        raise SettingsError(
            f"gcp needs the settings {', '.join(missing)}: set {variables}, or give --settings the "
            "file that `terraform output -json settings` writes"
        )
