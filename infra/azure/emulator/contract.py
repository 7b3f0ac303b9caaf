"""What Azure ML promises the container of a job: its command, its folders, its variables.

A job that stands by itself and a node of a pipeline say the same in two ways of writing; here both
are one ``Spec``. Facts are of the YAML reference of command jobs, of "Distributed GPU training
guide", and of what the SDK and its plugin read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from infra.azure.emulator.mounts import Unavailable
from infra.azure.emulator.world import World

_WORD = re.compile(r"\$\{\{\s*(inputs|outputs)\.([\w-]+)\s*\}\}")
_PARENT = re.compile(r"\$\{\{\s*parent\.jobs\.([\w-]+)\.outputs\.([\w-]+)\s*\}\}")
_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")
_MODES = {"": "ReadWriteMount", "ReadWriteMount": "ReadWriteMount", "Upload": "Upload"}


class Data(NamedTuple):
    """A folder of storage, or a ``file``; and how a job has it: ReadOnlyMount, Upload..."""

    uri: str
    mode: str
    file: bool = False


class Spec(NamedTuple):
    """What is to run. ``timeout`` is in seconds; None: none."""

    step: str
    command: str
    image: str
    environment: Mapping[str, str]
    values: Mapping[str, str]
    inputs: Mapping[str, Data]
    outputs: Mapping[str, Data]
    machine: str
    nodes: int = 1
    processes: int = 0
    spot: bool = False
    timeout: float | None = None

    def line(self, places: Mapping[str, str]) -> str:
        """The command, its inputs and outputs put in; ``places`` has inputs.X and outputs.X."""

        def word(match: re.Match[str]) -> str:
            kind, name = match[1], match[2]
            if kind == "inputs" and name in self.values:
                return self.values[name]
            return places[f"{kind}.{name}"]

        return _WORD.sub(word, self.command)


def of_command(world: World, properties: Mapping[str, Any]) -> Spec:
    """What a job that stands by itself runs. Raises Unavailable."""
    return _spec(world, {
        "step": properties.get("displayName") or "",
        "command": properties["command"],
        "environment": properties["environmentId"],
        "variables": properties.get("environmentVariables"),
        "inputs": {name: _data(each) for name, each in _each(properties, "inputs")},
        "outputs": {name: _data(each) for name, each in _each(properties, "outputs")},
        "compute": properties.get("computeId"),
        "machine": (properties.get("resources") or {}).get("instanceType"),
        "nodes": (properties.get("resources") or {}).get("instanceCount"),
        "processes": (properties.get("distribution") or {}).get("processCountPerInstance"),
        "distributed": bool(properties.get("distribution")),
        "tier": (properties.get("queueSettings") or {}).get("jobTier"),
        "timeout": (properties.get("limits") or {}).get("timeout"),
    })  # fmt: skip


def of_node(world: World, pipeline: Mapping[str, Any], name: str) -> Spec:
    """What a node of a pipeline runs. Raises Unavailable."""
    node = pipeline["jobs"][name]
    component = component_of(world, node["componentId"])
    resources = {**component.get("resources", {}), **node.get("resources", {})}
    distribution = node.get("distribution") or component.get("distribution") or {}
    inputs = {key: _bound(pipeline, each) for key, each in _each(node, "inputs")}
    compute = node.get("computeId") or pipeline.get("settings", {}).get("default_compute")
    return _spec(world, {
        "step": name,
        "command": component["command"],
        "environment": component["environment"].removeprefix("azureml:"),
        "variables": node.get("environment_variables"),
        "inputs": inputs,
        "outputs": {key: _data(each) for key, each in _each(node, "outputs")},
        "compute": compute,
        "machine": resources.get("instance_type"),
        "nodes": resources.get("instance_count"),
        "processes": distribution.get("process_count_per_instance"),
        "distributed": bool(distribution),
        "tier": (node.get("queue_settings") or {}).get("job_tier"),
        "timeout": (node.get("limits") or {}).get("timeout"),
    })  # fmt: skip


def component_of(world: World, identity: str) -> Mapping[str, Any]:
    """What a component says, by its resource id. Raises Unavailable."""
    name, version = _named(identity, "components")
    record = world.store.get("components", f"{name}~{version}")
    if record is None:
        raise Unavailable(f"there is no component {name}:{version}")
    found: Mapping[str, Any] = record["properties"]["componentSpec"]
    return found


def image_of(world: World, identity: str) -> str:
    """The image of an environment, by its resource id. Raises Unavailable."""
    name, version = _named(identity, "environments")
    record = world.store.get("environments", f"{name}~{version}")
    if record is None:
        raise Unavailable(f"there is no environment {name}:{version}")
    found: str = record["properties"].get("image", "")
    return found


def parents(node: Mapping[str, Any]) -> set[str]:
    """The nodes whose outputs a node takes."""
    texts = [str(each.get("value", "")) for _, each in _each(node, "inputs")]
    return {match[1] for text in texts for match in _PARENT.finditer(text)}


def seconds(duration: str) -> float:
    """A duration of ISO 8601 as seconds."""
    match = _DURATION.fullmatch(duration)
    if match is None:
        return 0.0
    days, hours, minutes, rest = (float(each or 0) for each in match.groups())
    return days * 86400 + hours * 3600 + minutes * 60 + rest


def _spec(world: World, told: Mapping[str, Any]) -> Spec:
    cluster = str(told["compute"] or "").rpartition("/")[2]
    clusters = world.scope.clusters
    return Spec(
        step=told["step"],
        command=told["command"],
        image=image_of(world, told["environment"]),
        environment={name: str(value) for name, value in (told["variables"] or {}).items()},
        values={name: each for name, each in told["inputs"].items() if isinstance(each, str)},
        inputs={name: each for name, each in told["inputs"].items() if isinstance(each, Data)},
        outputs={
            name: each._replace(mode=_MODES.get(each.mode, each.mode))
            for name, each in told["outputs"].items()
        },
        machine=told["machine"] or cluster,
        nodes=int(told["nodes"] or 1),
        processes=int(told["processes"] or 1) if told["distributed"] else 0,
        spot=told["tier"] == "Spot" or bool(clusters.get(cluster)),
        timeout=seconds(told["timeout"]) if told["timeout"] else None,
    )


def _bound(pipeline: Mapping[str, Any], given: Mapping[str, Any]) -> Data | str:
    """An input of a node; where it is an output of another, that one's folder."""
    found = _data(given)
    if not isinstance(found, str) or (match := _PARENT.fullmatch(found)) is None:
        return found
    left = pipeline["jobs"][match[1]]["outputs"][match[2]]
    return Data(left["uri"], given.get("mode") or "ReadOnlyMount")


def _data(given: Mapping[str, Any]) -> Data | str:
    """A folder, or a literal value."""
    if "uri" not in given and "value" in given:
        return str(given["value"])
    kind = given.get("jobInputType") or given.get("job_input_type")
    return Data(given.get("uri", ""), given.get("mode") or "", kind == "uri_file")


def _each(given: Mapping[str, Any], name: str) -> list[tuple[str, Mapping[str, Any]]]:
    return list((given.get(name) or {}).items())


def _named(identity: str, kind: str) -> tuple[str, str]:
    match = re.search(rf"/{kind}/([^/]+)/versions/([^/]+)$", identity)
    if match is None:
        raise Unavailable(f"{identity} names none of the {kind} of this workspace")
    return match[1], match[2]
