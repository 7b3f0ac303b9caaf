"""A step as a node of a pipeline, and as a job by itself: documents of the CLI, version 2. Pure.

node(...)    command node, its component inline: what is_deterministic is said of
job(...)     the same as a commandJob, for a plan of one step and for exit handlers
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

from infra.azure import AzureSettings, names
from infra.azure.store import address
from infra.cloud import overrides
from infra.cloud.stepfile import CHANNEL, command
from infra.plan import Step

Document: TypeAlias = dict[str, Any]
Inputs: TypeAlias = Mapping[str, str]
"""By the name of a channel, the folder or file that it brings."""

RUN, PLAN, STEP, COMMIT = "trefoil.run", "trefoil.plan", "trefoil.step", "trefoil.commit"
"""The tags by which everything of a run is found again, and what it is."""
SERVERLESS = "azureml:serverless"
LEFT, CHECKPOINTS = "left", "checkpoints"
"""The outputs of a node: what the step leaves, and where it saves itself."""
_PIPELINE = "https://azuremlschemas.azureedge.net/latest/pipelineJob.schema.json"
_COMMAND = "https://azuremlschemas.azureedge.net/latest/commandJob.schema.json"
_MODEL = "system.Model"


class Place(NamedTuple):
    """Where a run lies in storage, and what its jobs are marked with.

    ``digest`` is the plan's, ``commit`` that of our code, empty where it is not known.
    """

    settings: AzureSettings
    run_id: str
    digest: str
    commit: str

    def uri(self, *parts: str) -> str:
        """A folder of the run."""
        return self.shared("/".join(("runs", self.run_id, *parts)))

    def shared(self, key: str) -> str:
        """A folder that runs share, its name its content's digest."""
        return f"{address(self.settings.datastore, self.key(key))}/"

    def checkpoints(self, step: str) -> str:
        """Where a step of this run, and no other, saves itself."""
        return self.shared(f"checkpoints/{self.run_id}/{step}")

    def key(self, name: str) -> str:
        """The key in the container of what lies under ``shared``."""
        return f"{self.settings.prefix.strip('/')}/{name}"

    def tags(self, step: str = "") -> dict[str, str]:
        """By which everything of a run is found again."""
        own = {RUN: self.run_id, PLAN: self.digest, STEP: step, COMMIT: self.commit}
        return {name: value for name, value in own.items() if value} | dict(self.settings.tags)


def pipeline(place: Place, description: str, nodes: Mapping[str, Document]) -> Document:
    """A pipelineJob of nodes; nothing of it is taken from an earlier run."""
    return {
        "$schema": _PIPELINE,
        "type": "pipeline",
        "name": names.named(place.run_id),
        "display_name": place.run_id,
        "description": description,
        "experiment_name": place.settings.experiment,
        "tags": place.tags(),
        "settings": {"force_rerun": True, "continue_on_step_failure": True},
        "jobs": dict(nodes),
    }


def node(step: Step, image: str, machine: str, inputs: Inputs, place: Place) -> Document:
    """A step as a node."""
    whole = _whole(step, image, machine, inputs, place)
    bound, outputs = whole.pop("inputs"), whole["outputs"]
    moved = ("command", "environment", "resources", "distribution")
    component: Document = {
        "type": "command",
        "is_deterministic": False,
        "inputs": {name: {"type": each["type"]} for name, each in bound.items()},
        "outputs": {name: {"type": each["type"]} for name, each in outputs.items()},
        **{name: whole.pop(name) for name in moved if name in whole},
    }
    found = {"type": "command", "component": component, "inputs": bound, **whole}
    found = over(found, step, place.settings)
    return {**_fitted(found), "component": _fitted(found["component"], found.get("compute"))}


def job(step: Step, image: str, machine: str, inputs: Inputs, place: Place) -> Document:
    """A step as a job by itself, its name that of the run and the step."""
    whole = _whole(step, image, machine, inputs, place)
    if whole["compute"] == SERVERLESS:
        del whole["compute"]  # that is what a job without a cluster is
    found = {
        "$schema": _COMMAND,
        "type": "command",
        "name": names.named(place.run_id, step.name),
        "experiment_name": place.settings.experiment,
        **whole,
    }
    return _fitted(over(found, step, place.settings))


def keeps_checkpoints(step: Step) -> bool:
    """Whether a step has a folder that outlives its machine; mounting one takes a while."""
    asked = step.resources
    if asked.spot or asked.accelerators or asked.nodes > 1 or step.retry.limit:
        return True
    reads = any(token.kind == "input_path" for argument in step.argv for token in argument)
    return reads and _MODEL in step.artifacts.values()


def cluster(step: Step, settings: AzureSettings) -> str:
    """What a step runs on: a cluster, or serverless machines where it asks for other ones."""
    asked = step.resources
    name = settings.spot_compute if asked.spot else settings.compute
    if not name or asked.cpu or asked.memory_gb or asked.accelerators:
        return SERVERLESS
    return f"azureml:{name}"


def identity(step: Step, settings: AzureSettings) -> str:
    """The client id of whom a step acts as; empty for the one of the cluster."""
    return settings.step_identities.get(step.name, settings.identity)


def timeout(step: Step, settings: AzureSettings) -> int:
    """Seconds after which Azure ends the job."""
    return int(step.timeout or settings.max_runtime)


def over(document: Document, step: Step, settings: AzureSettings) -> Document:
    """The document with what a person has for this step, or for every step, laid over it."""
    every, own = settings.overrides.get("*", {}), settings.overrides.get(step.name, {})
    return overrides.over(overrides.over(document, every), own)


def notes(step: Step, settings: AzureSettings) -> Iterator[str]:
    """What has no effect in this place."""
    for platform in step.platforms:
        yield f"step {step.name}: its settings of {platform} have no effect here"
    named = settings.spot_compute if step.resources.spot else settings.compute
    if named and cluster(step, settings) == SERVERLESS:
        yield f"step {step.name} asks for other machines than {named} has: it runs on serverless"


def _whole(step: Step, image: str, machine: str, inputs: Inputs, place: Place) -> Document:
    """What node and job have in common."""
    settings = place.settings
    name, version = names.environment(image)
    compute = cluster(step, settings)
    outputs = {LEFT: _output(place.uri(step.name), "upload")}
    if keeps_checkpoints(step):
        # an upload comes at the end, which a machine that is taken away never sees
        outputs[CHECKPOINTS] = _output(place.checkpoints(step.name), "rw_mount")
    resources: Document = {"instance_count": step.resources.nodes}
    if compute == SERVERLESS:
        resources["instance_type"] = machine
    found: Document = {
        "display_name": step.name,
        "tags": place.tags(step.name),
        "command": _command(inputs, outputs),
        "environment": f"azureml:{name}:{version}",
        "inputs": {names.node(channel): _input(uri) for channel, uri in inputs.items()},
        "outputs": outputs,
        "compute": compute,
        "resources": resources,
        "limits": {"timeout": timeout(step, settings)},
    }
    if step.resources.nodes > 1:
        found["distribution"] = {"type": "pytorch", "process_count_per_instance": 1}
    if step.resources.spot and compute == SERVERLESS:
        found["queue_settings"] = {"job_tier": "spot"}
    if client := identity(step, settings):
        found["identity"] = {"type": "managed", "client_id": client}
    return found


def _fitted(document: Document, compute: str | None = None) -> Document:
    """Without what serverless machines alone are asked for, where a person named a cluster."""
    if (compute or document.get("compute") or SERVERLESS) == SERVERLESS:
        return document
    found = {name: value for name, value in document.items() if name != "queue_settings"}
    if "resources" in found:
        own = found["resources"]
        found["resources"] = {name: own[name] for name in own if name != "instance_type"}
    return found


def _command(inputs: Inputs, outputs: Mapping[str, Any]) -> str:
    """The line that starts the launcher; Azure puts in where the folders are."""
    told = {name: f"${{{{inputs.{names.node(name)}}}}}" for name in inputs if name != CHANNEL}
    places = {name: f"${{{{outputs.{name}}}}}" for name in outputs}
    words = command(
        "azureml", f"${{{{inputs.{CHANNEL}}}}}", told, places[LEFT], places.get(CHECKPOINTS, "")
    )
    return " ".join(word for word in words if not word.endswith("="))


def _input(uri: str) -> Document:
    """A folder; or a file, where the name is that of one: an imported artefact may be."""
    kind = "uri_file" if "." in uri.rpartition("/")[2] else "uri_folder"
    return {"type": kind, "mode": "ro_mount", "path": uri}


def _output(uri: str, mode: str) -> Document:
    return {"type": "uri_folder", "mode": mode, "path": uri}
