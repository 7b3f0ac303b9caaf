"""What Azure's reference says of bodies beside its model: names, addresses, what goes together.

Of "Limits and name rules of Azure Machine Learning", the YAML references of jobs and components,
and of what serverless machines are told. Where there is a rule, a value that does not keep to it is
refused by Azure, or worse, taken and of no effect.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from infra.azure import graph
from infra.cloud.problems import Problem, shown

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,254}")
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,29}")
PORT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
WORD = re.compile(r"\$\{\{\s*(inputs|outputs)\.([\w.-]+)\s*\}\}")
_DATA = re.compile(
    r"azureml://(datastores/[\w-]+|subscriptions/.+/datastores/[\w-]+|jobs/[\w-]+/outputs)/\S+"
    r"|https://\S+|wasbs://\S+|abfss://\S+|azureml:[\w.-]+:[\w.-]+|azureml:/subscriptions/\S+"
)
_ENVIRONMENT = re.compile(r"(?:azureml:)?/subscriptions/.+/environments/(?P<name>[^/]+)/versions/"
                          r"(?P<version>[^/]+)|azureml:[\w-]+:[\w.-]+")  # fmt: skip
_SHARED = re.compile(r"\d+[bkmgBKMG]")
_TAG, _TAGS = 256, 50
OUTPUTS = ("ReadWriteMount", "Upload", "Direct")
INPUTS = ("ReadOnlyMount", "ReadWriteMount", "Download", "Direct", "EvalMount", "EvalDownload")


def problems(kind: str, body: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with a body beside its model."""
    properties = body.get("properties", {})
    yield from _tags(properties.get("tags") or {}, "properties.tags")
    if kind == "environments":
        yield from _environment(properties)
    elif kind == "components":
        yield from graph.component(properties.get("componentSpec"), "properties.componentSpec")
    elif kind == "jobs" and properties.get("jobType") == "Pipeline":
        yield from graph.pipeline(properties, "properties")
    elif kind == "jobs" and properties.get("jobType") == "Command":
        yield from _command(properties)


def _environment(given: Mapping[str, Any]) -> Iterator[Problem]:
    if not (given.get("image") or given.get("build")):
        yield Problem("properties.image", "is missing, and there is no build either")
    if given.get("image") and given.get("build"):
        yield Problem("properties.build", "is given beside image; it takes one of them")
    if given.get("image") and re.search(r"\s", given["image"]):
        yield Problem("properties.image", f"is {shown(given['image'])}, which is no image")


def _command(given: Mapping[str, Any]) -> Iterator[Problem]:
    inputs, outputs = given.get("inputs") or {}, given.get("outputs") or {}
    yield from words(given["command"], inputs, outputs, "properties.command")
    yield from ports(inputs, outputs, "properties")
    if not _ENVIRONMENT.fullmatch(given["environmentId"]):
        told = f"is {shown(given['environmentId'])}, which names no environment and version"
        yield Problem("properties.environmentId", told)
    for name, each in inputs.items():
        yield from data(each, each.get("jobInputType"), INPUTS, f"properties.inputs[{name!r}]")
    for name, each in outputs.items():
        yield from data(each, each.get("jobOutputType"), OUTPUTS, f"properties.outputs[{name!r}]")
    resources, queue = given.get("resources") or {}, given.get("queueSettings") or {}
    yield from machines(
        given.get("computeId"), resources.get("instanceType"), queue.get("jobTier"),
        resources.get("instanceCount"), bool(given.get("distribution")), "properties",
    )  # fmt: skip
    if "shmSize" in resources:
        yield from shared(resources["shmSize"], "properties.resources.shmSize")


def words(
    command: str, inputs: Mapping[str, Any], outputs: Mapping[str, Any], path: str
) -> Iterator[Problem]:
    """A command names only inputs and outputs that there are."""
    for match in WORD.finditer(command):
        known = inputs if match[1] == "inputs" else outputs
        if match[2] not in known:
            yield Problem(path, f"names {match[1]}.{match[2]}, which there is not")
    if "${{" in WORD.sub("", command):
        left = command[command.rindex("${{") :]
        yield Problem(path, f"has {shown(left)}, which names neither an input nor an output")


def ports(inputs: Mapping[str, Any], outputs: Mapping[str, Any], path: str) -> Iterator[Problem]:
    """Names of inputs and outputs are identifiers, and no name is both."""
    for what, given in (("inputs", inputs), ("outputs", outputs)):
        for name in given:
            if not PORT.fullmatch(name):
                yield Problem(f"{path}.{what}[{name!r}]", "is no identifier of a-z, 0-9 and _")
    for name in sorted(inputs.keys() & outputs.keys()):
        yield Problem(f"{path}.outputs[{name!r}]", "is an input of that name, too")


def data(
    given: Mapping[str, Any], kind: Any, modes: tuple[str, ...], path: str
) -> Iterator[Problem]:
    """A folder has an address, and is had in a way that there is for it."""
    if kind == "literal":
        if "value" not in given:
            yield Problem(f"{path}.value", "is missing")
        return
    uri, mode = given.get("uri"), given.get("mode")
    if modes is INPUTS and not uri:
        yield Problem(f"{path}.uri", "is missing")
    if uri and not (_DATA.fullmatch(uri) or "${{" in uri):
        yield Problem(f"{path}.uri", f"is {shown(uri)}, which is no address of data")
    if mode and mode not in modes:
        yield Problem(f"{path}.mode", f"is {shown(mode)}; here it is one of {', '.join(modes)}")


def machines(
    compute: Any, machine: Any, tier: Any, count: Any, distributed: bool, path: str
) -> Iterator[Problem]:
    """A cluster, or serverless machines of a type; several of them only where they are told."""
    serverless = not compute or str(compute).rpartition("/")[2] == "serverless"
    if serverless and not machine:
        yield Problem(f"{path}.resources.instanceType", "is missing, and serverless needs it")
    if not serverless and machine:
        told = "is given beside a cluster, whose machines are its own"
        yield Problem(f"{path}.resources.instanceType", told)
    if not serverless and tier:
        told = "is given beside a cluster; whether its machines are spot is the cluster's own"
        yield Problem(f"{path}.queueSettings.jobTier", told)
    if count is not None and count < 1:
        yield Problem(f"{path}.resources.instanceCount", f"is {count}; the least is 1")
    if (count or 1) > 1 and not distributed:
        told = f"is missing, and {count} machines would each do the same"
        yield Problem(f"{path}.distribution", told)


def shared(size: Any, path: str) -> Iterator[Problem]:
    """Docker's way to write the size of shared memory."""
    if not isinstance(size, str) or not _SHARED.fullmatch(size):
        yield Problem(path, f"is {shown(size)}; it is a number and one of b, k, m, g")


def _tags(given: Mapping[str, Any], path: str) -> Iterator[Problem]:
    if len(given) > _TAGS:
        yield Problem(path, f"has {len(given)} tags; the most is {_TAGS}")
    for name, value in given.items():
        if len(name) > _TAG or len(str(value)) > _TAG:
            yield Problem(f"{path}[{name[:20]!r}]", f"is longer than {_TAG} characters")
