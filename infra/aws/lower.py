"""Plan -> Request for SageMaker: one job for a plan of one step, else a pipeline.

    pipeline    CreatePipeline, its definition as an object      start    StartPipelineExecution
    job         for a plan of one step: its operation and request
    files       what goes to S3 before, by key                   after    exit handlers' jobs

A pipeline is called by its run, so that a repeated submit finds it and two runs never share one.
SageMaker has no exit handlers: they are jobs that are started once the execution has ended. Their
own name makes them once-only, whoever starts them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, TypeAlias

from infra.aws import AwsSettings, costs, jobs
from infra.aws.conditions import conditions, property_files
from infra.aws.definition import VERSION
from infra.aws.jobs import Place, is_training
from infra.aws.names import execution, named
from infra.aws.serving.requests import SERVER_IMAGE, SERVING, Serving
from infra.binding import bound
from infra.cloud.stepfile import STATUS, Container, Left, StepFile, step_file
from infra.errors import SettingsError
from infra.images.catalogue import IMAGES
from infra.images.names import run_as
from infra.plan import Output, Plan, Request, Step, canonical, operands, outputs_of, to_data

Node: TypeAlias = dict[str, Any]

_REGISTRY = ".dkr.ecr."
"""What the address of every image in ECR has in it."""
_CONTAINER = Container("aws", "s3://")
_NEEDED = ("region", "bucket", "pipeline_role_arn", "training_role_arn")


def lower(plan: Plan, settings: AwsSettings, run_id: str) -> Request:
    """The body is what is sent, but for the status that exit handlers are told.

    Pure where every image is given; else git is asked for the revision of this code. Raises
    SettingsError, UnsupportedError, and InputError where git cannot tell.
    """
    require_settings(settings)
    images, commits = run_as([step.image for step in plan.steps], settings)
    place = Place(settings, run_id, plan.digest(), next(iter(commits.values()), ""))
    whole = bound(plan)
    lowered = _Lowered(whole, place, images, commits)
    body: Node = {"region": settings.region, "bucket": settings.bucket, "files": lowered.files}
    first = [step for step in whole.steps if not step.always]
    if len(first) == 1 and not first[0].when:
        body["job"] = lowered.job(first[0])
    else:
        body |= lowered.pipeline(first)
    body["after"] = [lowered.job(step) for step in whole.steps if step.always]
    notes = [note for step in plan.steps for note in jobs.notes(step, settings)]
    notes += [
        f"the image {image} is not in ECR, and SageMaker pulls from there alone; push it there and "
        "name it by the setting images"
        for image in dict.fromkeys(images[step.image] for step in plan.steps)
        if _REGISTRY not in image
    ]
    return Request("aws", run_id, whole, body, (*notes, *costs.notes(plan, settings)))


def price(plan: Plan, settings: AwsSettings) -> float:
    """What the machines cost at most, in US dollars; NaN where a price is not known."""
    return costs.price(plan, settings)


def ground(settings: AwsSettings) -> dict[str, str]:
    """What endpoints stand on, for whoever looks after them."""
    serving = Serving(
        region=settings.region,
        bucket=settings.bucket,
        prefix=settings.prefix,
        role=settings.serving_role_arn,
        kms_key=settings.kms_key,
        subnets=settings.subnets,
        security_groups=settings.security_groups,
        tags=settings.tags,
        group=settings.model_package_group,
        instance_type=settings.serving_instance_type,
        instances=settings.serving_instances,
        requests=settings.serving_requests,
        memory=settings.serving_memory,
        concurrency=settings.serving_concurrency,
        asynchronous=settings.serving_async,
    )
    return {SERVING: serving.text()}


def environment(settings: AwsSettings) -> dict[str, str]:
    """What the step deploy is told, for whoever deploys without a run. Raises as ``lower`` does."""
    require_settings(settings)
    return {**ground(settings), **_server(run_as(IMAGES, settings)[0])}


def _server(images: Mapping[str, str]) -> dict[str, str]:
    return {SERVER_IMAGE: images["trefoil-server"]} if "trefoil-server" in images else {}


class _Lowered:
    """What each step became, and the files that it takes."""

    def __init__(
        self, plan: Plan, place: Place, images: Mapping[str, str], commits: Mapping[str, str]
    ) -> None:
        self._plan, self._place = plan, place
        self._images, self._commits = images, commits
        self.files: Node = {}
        self._read = _read_by_conditions(plan)

    def job(self, step: Step) -> Node:
        """One job by itself, its name that of the run and the step."""
        kind = "Training" if is_training(step) else "Processing"
        name = named(self._place.run_id, step.name)
        return {
            "operation": f"Create{kind}Job",
            "request": {f"{kind}JobName": name, **self._arguments(step)},
        }

    def pipeline(self, steps: list[Step]) -> Node:
        """The pipeline, and its execution."""
        settings, run_id = self._place.settings, self._place.run_id
        definition: Node = {"Version": VERSION, "Parameters": [], "Steps": self._steps(steps)}
        token = hashlib.sha256(canonical(definition)).hexdigest()
        start = hashlib.sha256(run_id.encode()).hexdigest()
        name = named(run_id)
        return {
            "pipeline": {
                "PipelineName": name,
                "PipelineDescription": self._plan.description or self._plan.name,
                "PipelineDefinition": definition,
                "RoleArn": settings.pipeline_role_arn,
                "ClientRequestToken": token,
                "Tags": self._place.tags(),
            },
            "start": {
                "PipelineName": name,
                "PipelineExecutionDisplayName": execution(run_id, 1),
                "ClientRequestToken": start,
            },
        }

    def _steps(self, steps: list[Step]) -> list[Node]:
        """Those without a condition in order, and a condition step for each condition."""
        found: list[Node] = []
        branches: dict[bytes, Node] = {}
        for step in steps:
            lowered = self._step(step)
            if step.when is None:
                found.append(lowered)
                continue
            key = canonical(to_data(step.when))
            if key not in branches:
                branches[key] = self._branch(step, len(branches) + 1)
                found.append(branches[key])
            branches[key]["Arguments"]["IfSteps"].append(lowered)
        return found

    def _branch(self, step: Step, number: int) -> Node:
        assert step.when is not None  # noqa: S101  for mypy
        return {
            "Name": f"condition-{number}",
            "Type": "Condition",
            "Arguments": {
                "Conditions": conditions(step.when, self._plan, step),
                "IfSteps": [],
                "ElseSteps": [],
            },
        }

    def _step(self, step: Step) -> Node:
        found: Node = {
            "Name": step.name,
            "Type": "Training" if is_training(step) else "Processing",
            "Arguments": self._arguments(step),
        }
        if needs := [name for name in step.needs() if not self._plan.step(name).always]:
            found["DependsOn"] = needs
        if step.name in self._read:
            found["PropertyFiles"] = property_files()
        if step.retry.limit:
            found["RetryPolicies"] = _retries(step)
        return found

    def _arguments(self, step: Step) -> Node:
        file = step_file(
            self._plan, step, self._place.run_id, self._environment(step), self._left, _CONTAINER
        )
        file = self._with_status(step, file)
        for name, content in file.files.items():
            self.files[self._place.key(f"{file.key}/{name}")] = content
        make = jobs.training if is_training(step) else jobs.processing
        machine = costs.machine(step, self._place.settings)
        return make(step, self._images[step.image], machine, file, self._place)

    def _with_status(self, step: Step, file: StepFile) -> StepFile:
        """The status of an exit handler lies where whoever starts it has put it."""
        uri = self._place.uri(step.name, STATUS)
        told = tuple(each._replace(uri=uri) if each.name == STATUS else each
                     for each in file.channels)  # fmt: skip
        return file._replace(channels=told)

    def _left(self, name: str) -> Left:
        if not is_training(self._plan.step(name)):
            return Left(self._place.uri(name), apart=True)
        return Left({"Get": f"Steps.{name}.ModelArtifacts.S3ModelArtifacts"}, apart=False)

    def _environment(self, step: Step) -> Node:
        settings = self._place.settings
        found = {
            "TREFOIL_PROVIDER": "aws",
            "TREFOIL_RUN_ID": self._place.run_id,
            "TREFOIL_STEP": step.name,
            "TREFOIL_PLAN_DIGEST": self._place.digest,
        }
        found |= {**ground(settings), **_server(self._images)}
        if step.image in self._commits:
            found["TREFOIL_GIT_COMMIT"] = self._commits[step.image]
        if settings.tracking_uri != "none":
            found["MLFLOW_TRACKING_URI"] = settings.tracking_uri
            found["MLFLOW_EXPERIMENT_NAME"] = settings.experiment
        return {**found, **step.env}


def require_settings(settings: AwsSettings) -> None:
    """Raise SettingsError where a setting lacks that every run needs."""
    missing = [name for name in _NEEDED if not getattr(settings, name)]
    if missing:
        variables = ", ".join(f"TREFOIL_{name.upper()}" for name in missing)
        raise SettingsError(
            f"aws needs the settings {', '.join(missing)}: set {variables}, or give --settings the "
            "file that `terraform output -json settings` writes"
        )


def _read_by_conditions(plan: Plan) -> set[str]:
    """The steps whose values conditions read."""
    return {
        output.step
        for step in plan.steps
        for source in operands(step.when)
        for output in outputs_of(source)
        if isinstance(source, Output)
    }


def _retries(step: Step) -> list[Node]:
    """What the service itself tries again; a command that fails is tried again by the launcher."""
    policy = {
        "IntervalSeconds": max(1, int(step.retry.backoff)),
        "BackoffRate": max(1.0, step.retry.factor),
        "MaxAttempts": min(20, step.retry.limit),
    }
    service = ["Step.SERVICE_FAULT", "Step.THROTTLING"]
    job = ["SageMaker.JOB_INTERNAL_ERROR", "SageMaker.CAPACITY_ERROR"]
    return [{"ExceptionType": service, **policy}, {"ExceptionType": job, **policy}]
