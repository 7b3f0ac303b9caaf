"""A step as a CustomJob: alone, or started from within the pipeline by Google's launcher. Pure.

A pipeline's own steps know neither spot machines nor several of them, nor accounts of their own.
What asks for these is a CustomJob there: in the place of the step's container stands the launcher
of google-cloud-pipeline-components, which is told the CustomJob as JSON, starts it, and follows it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from infra.cloud.overrides import over
from infra.cloud.stepfile import CHANNEL, Container, StepFile
from infra.errors import UnsupportedError
from infra.gcp import GcpSettings, machines
from infra.gcp.names import RUN, STEP, label, named
from infra.plan import Constant, Plan, Step, as_text, imports_of

Node: TypeAlias = dict[str, Any]

LAUNCHER = "gcr.io/ml-pipeline/google-cloud-pipeline-components:2.22.0"
"""Google's, whose Python package no environment with the newest aiplatform can hold."""
_MODULE = "google_cloud_pipeline_components.container.v1.custom_job.launcher"
CUSTOM_JOB = "CustomJob"
POOLS, RESOURCES = "worker_pool_specs", "gcp_resources"
"""The input by which the launcher is told containers, and the output that it tells the job by."""
CONTAINER = Container("gcp", "gs://")
_ENTRY = Path(__file__).with_name("entry.py")
_WHOLE, _ESCAPED = "{{$}}", "{{$.json_escape[1]}}"
"""All that a lightweight component is told, as text within JSON."""
_PLACEHOLDER = "{{$.inputs.parameters['%s']}}" % POOLS  # noqa: UP031  braces


class Place(NamedTuple):
    """Where a run lies in Cloud Storage, and what its jobs are marked with.

    ``digest`` is the plan's, ``commit`` that of our code, empty where it is not known.
    """

    settings: GcpSettings
    run_id: str
    digest: str
    commit: str

    def uri(self, *names: str) -> str:
        """A folder of the run."""
        return self._under("runs", self.run_id, *names)

    def shared(self, key: str) -> str:
        """A folder that runs share, its name its content's digest."""
        return self._under(key)

    def checkpoints(self, step: str) -> str:
        """Where a step of this run, and no other, saves itself."""
        return self._under("checkpoints", self.run_id, step)

    def key(self, name: str) -> str:
        """The name in the bucket of what lies under ``shared``."""
        return f"{self.settings.prefix.strip('/')}/{name}"

    def account(self, step: Step) -> str:
        """Who the step is."""
        return self.settings.step_accounts.get(step.name, self.settings.service_account)

    def labels(self, step: str = "") -> dict[str, str]:
        """By which everything of a run is found again."""
        own = {RUN: self.run_id, "trefoil-plan": self.digest[:32], STEP: step,
               "trefoil-commit": self.commit}  # fmt: skip
        known = {name: label(value) for name, value in own.items() if value}
        return known | dict(self.settings.labels)

    def _under(self, *names: str) -> str:
        return "/".join((f"gs://{self.settings.bucket}", self.settings.prefix.strip("/"), *names))


def is_alone(plan: Plan) -> bool:
    """Whether a plan is one CustomJob."""
    return len(plan.steps) == 1 and not plan.steps[0].when and not plan.steps[0].always


def is_custom(step: Step, settings: GcpSettings) -> bool:
    """Whether the step is a CustomJob within its pipeline."""
    return step.resources.spot or step.resources.nodes > 1 or step.name in settings.step_accounts


def rented(step: Step, settings: GcpSettings) -> Node:
    """Of a CustomJob's spec the machines, and for how long."""
    asked = step.resources
    pool: Node = {
        "machineSpec": machines.machine_spec(step, settings),
        "replicaCount": "1",
        "diskSpec": {"bootDiskSizeGb": settings.disk_gb},
    }
    workers = [{**pool, "replicaCount": str(asked.nodes - 1)}] if asked.nodes > 1 else []
    return {
        "workerPoolSpecs": [pool, *workers],
        "scheduling": {
            "timeout": f"{int(step.timeout or settings.max_runtime)}s",
            "strategy": "SPOT" if asked.spot else "STANDARD",
            "restartJobOnWorkerRestart": asked.spot,
        },
    }


def mounted(uri: str) -> str:
    """Where a container sees an address of Cloud Storage."""
    return f"/gcs/{uri.removeprefix('gs://')}"


# --- alone


def alone(step: Step, image: str, file: StepFile, place: Place) -> Node:
    """The CustomJob of a plan of one step, which the launcher of infra/cloud runs."""
    words = ["python3", f"{mounted(place.shared(file.key))}/launcher.py", "vertex"]
    for channel in file.channels:
        words += ["--input", f"{channel.name}={mounted(_folder(channel.name, channel.uri))}"]
    words += ["--outputs", mounted(place.uri(step.name))]
    words += ["--checkpoints", f"{mounted(place.checkpoints(step.name))}/checkpoints"]
    container = {"imageUri": image, "command": words[:2], "args": words[2:], "env": []}
    return _job(step, container, place)


def _folder(name: str, uri: str) -> str:
    """The folder in which the launcher finds what an input names: of an import, where it lies."""
    return uri if name == CHANNEL else uri.rstrip("/").rpartition("/")[0]


# --- within a pipeline


def launched(step: Step, given: Node, place: Place) -> Node:
    """The launcher in the place of a step's container. Raises UnsupportedError."""
    words = [*given.get("command", []), *given.get("args", [])]
    if step.resources.nodes > 1 and any(_WHOLE in word for word in words):
        raise UnsupportedError(
            f"step {step.name} is a lightweight component, which Vertex AI runs on one machine; "
            "make it a container component to run it on several"
        )
    body = _job(step, _entered(step, given, words), place)
    payload = _snake(body)
    pools = payload["job_spec"][POOLS]
    payload["job_spec"][POOLS] = _PLACEHOLDER
    text = json.dumps(payload, sort_keys=True).replace(f'"{_PLACEHOLDER}"', _PLACEHOLDER)
    return {
        "image": LAUNCHER,
        "command": ["python3", "-u", "-m", _MODULE],
        "args": [
            "--type", CUSTOM_JOB, "--payload", text,
            "--project", place.settings.project, "--location", place.settings.region,
            "--gcp_resources", "{{$.outputs.parameters['%s'].output_file}}" % RESOURCES,  # noqa: UP031
        ],
        POOLS: pools,
    }  # fmt: skip


def declare(component: Node, pools: list[Node]) -> None:
    """Let a component take the launcher's input and leave its output, beside what is its own."""
    taken = {"parameterType": "LIST", "isOptional": True, "defaultValue": pools}
    for key, name, parameter in (
        ("inputDefinitions", POOLS, taken),
        ("outputDefinitions", RESOURCES, {"parameterType": "STRING"}),
    ):
        given = component.get(key, {})  # other components may share it
        component[key] = {**given, "parameters": {**given.get("parameters", {}), name: parameter}}


def require_alone(plan: Plan, settings: GcpSettings) -> None:
    """Refuse a loop of such steps: its jobs would share checkpoints. Raises UnsupportedError."""
    for step in plan.steps:
        if is_custom(step, settings) and in_a_loop(step, plan):
            raise UnsupportedError(
                f"step {step.name} is in a loop, and there gcp runs it not on spot machines, on "
                "several of them or by an account of its own"
            )


def require_importable(plan: Plan) -> None:
    """Refuse what is imported from elsewhere than Cloud Storage. Raises UnsupportedError."""
    for step in plan.steps:
        for source in imports_of(step):
            uri = (
                as_text(source.uri.value) if isinstance(source.uri, Constant) else CONTAINER.scheme
            )
            if not uri.startswith(CONTAINER.scheme):
                named_so = uri if "://" in uri else "a file of this machine"
                raise UnsupportedError(
                    f"step {step.name} imports {named_so}, and gcp reads gs:// addresses alone"
                )


def in_a_loop(step: Step, plan: Plan) -> bool:
    """Whether the step is one of several iterations."""
    return sum(each.task == step.task for each in plan.steps) > 1


def payload_of(container: Mapping[str, Any], pools: Any) -> Node:
    """The CustomJob that a launcher is told, ``pools`` put in. Raises ValueError."""
    args = container["args"]
    text = args[args.index("--payload") + 1]
    body = json.loads(text.replace(_PLACEHOLDER, json.dumps(pools)))
    if not isinstance(body, dict):
        raise ValueError("it is not an object")
    found: Node = _camel(body)
    return found


def _entered(step: Step, given: Node, words: list[str]) -> Node:
    """The step's own container, entry.py before its command."""
    processes = max(1, step.resources.accelerators) if step.resources.nodes > 1 else 1
    several = [{"name": "TREFOIL_PROCESSES", "value": str(processes)}] if processes > 1 else []
    script = _ENTRY.read_text(encoding="utf-8")
    return {
        "imageUri": given["image"],
        "command": ["python3", "-c", script],
        "args": [word.replace(_WHOLE, _ESCAPED) for word in words],
        "env": [*given["env"], *several],
    }


# --- both


def _job(step: Step, container: Node, place: Place) -> Node:
    settings = place.settings
    asked = rented(step, settings)
    pools = [{**pool, "containerSpec": container} for pool in asked["workerPoolSpecs"]]
    spec: Node = {
        **asked,
        "workerPoolSpecs": pools,
        "baseOutputDirectory": {"outputUriPrefix": place.checkpoints(step.name)},
    }
    if account := place.account(step):
        spec["serviceAccount"] = account
    if settings.network:
        spec["network"] = settings.network
    found: Node = {
        "displayName": named(place.run_id, step.name),
        "labels": place.labels(step.name),
        "jobSpec": spec,
    }
    if settings.kms_key:
        found["encryptionSpec"] = {"kmsKeyName": settings.kms_key}
    return over(found, settings.overrides.get(CUSTOM_JOB, {}))


def notes(step: Step, settings: GcpSettings) -> Iterator[str]:
    """What has no effect in this place."""
    for platform in step.platforms:
        yield f"step {step.name}: its settings of {platform} have no effect here"
    if step.timeout and not is_custom(step, settings):
        yield (
            f"step {step.name}: a step of Vertex AI's pipelines has no timeout, unless it is on "
            "spot or several machines or in step_accounts"
        )


_FREE = ("labels",)
"""Fields whose names are a person's."""


def _snake(value: Any) -> Any:
    """Names of fields as the launcher's Python wants them."""
    return _renamed(value, lambda name: re.sub("[A-Z]", lambda each: f"_{each[0].lower()}", name))


def _camel(value: Any) -> Any:
    """Names of fields as the API has them."""
    return _renamed(value, lambda name: re.sub("_([a-z])", lambda each: each[1].upper(), name))


def _renamed(value: Any, rename: Any) -> Any:
    if isinstance(value, list):
        return [_renamed(each, rename) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        rename(name): each if name in _FREE else _renamed(each, rename)
        for name, each in value.items()
    }
