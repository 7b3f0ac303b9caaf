"""Pipelines as graphs: what the published model leaves open, ``{object}``, is held here.

pipeline(properties, path)   of a job as it is sent            component(spec, path)
documents(body)              of the documents of a Request, before anything is sent
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from infra.cloud.problems import Problem, shown

_NODE = re.compile(r"[a-z_][a-z0-9_]*")
_PARENT = re.compile(r"\$\{\{\s*parent\.jobs\.([\w-]+)\.outputs\.([\w-]+)\s*\}\}")
_PLACEHOLDER = re.compile(r"\$\{\{.*?\}\}")
_TYPES = {"uri_file", "uri_folder", "mltable", "mlflow_model", "custom_model", "triton_model"}
_PLAIN = {"string", "number", "integer", "boolean", "enum"}
_MODES = {"ro_mount": "ReadOnlyMount", "rw_mount": "ReadWriteMount", "download": "Download",
          "upload": "Upload", "direct": "Direct", "eval_mount": "EvalMount",
          "eval_download": "EvalDownload"}  # fmt: skip
_OF_NODE = {
    "name", "type", "component", "componentId", "display_name", "tags", "description", "inputs",
    "outputs", "compute", "computeId", "resources", "distribution", "environment_variables",
    "limits", "identity", "queue_settings", "services", "properties", "comment", "_source",
}  # fmt: skip
_OF_COMPONENT = {
    "$schema", "name", "version", "display_name", "description", "tags", "type", "command",
    "environment", "code", "inputs", "outputs", "resources", "distribution", "is_deterministic",
    "instance_count", "additional_includes", "_source", "properties",
}  # fmt: skip
_DISTRIBUTIONS = {"pytorch", "mpi", "tensorflow", "ray"}
_CHECKPOINTS = "checkpoints"


def pipeline(given: Mapping[str, Any], path: str) -> Iterator[Problem]:
    """What is wrong with the jobs of a pipeline as it is sent."""
    nodes = given.get("jobs") or {}
    if not nodes:
        yield Problem(f"{path}.jobs", "is empty or missing")
    default = (given.get("settings") or {}).get("default_compute")
    for name, each in nodes.items():
        yield from _node(name, each, nodes, default, f"{path}.jobs[{name!r}]")
    yield from _order(nodes, f"{path}.jobs")


def component(given: Any, path: str) -> Iterator[Problem]:
    """What is wrong with a component's specification."""
    from infra.azure import rules

    if not isinstance(given, Mapping):
        yield Problem(path, "is missing, or no object")
        return
    yield from _unknown(given, _OF_COMPONENT, path, "a component")
    if given.get("type") != "command":
        yield Problem(f"{path}.type", f"is {given.get('type')!r}; here it is command")
    for name in ("command", "environment"):
        if not given.get(name):
            yield Problem(f"{path}.{name}", "is missing")
    inputs, outputs = given.get("inputs") or {}, given.get("outputs") or {}
    yield from rules.ports(inputs, outputs, path)
    for what, ports in (("inputs", inputs), ("outputs", outputs)):
        for name, each in ports.items():
            kind = each.get("type") if isinstance(each, Mapping) else None
            if kind not in _TYPES and not (what == "inputs" and kind in _PLAIN):
                yield Problem(f"{path}.{what}[{name!r}].type", f"is {kind!r}, which there is not")
    if isinstance(given.get("command"), str):
        yield from rules.words(given["command"], inputs, outputs, f"{path}.command")
    yield from _distribution(given.get("distribution"), f"{path}.distribution")
    if "shm_size" in (given.get("resources") or {}):
        yield from rules.shared(given["resources"]["shm_size"], f"{path}.resources.shm_size")


def documents(body: Mapping[str, Any]) -> Iterator[tuple[str, Problem]]:
    """What is wrong with the documents of a Request, each with what it is of."""
    from infra.azure import rules

    for each in body["environments"]:
        what = f"environment {each.get('name')}"
        if not rules.NAME.fullmatch(str(each.get("name", ""))):
            yield what, Problem("name", f"is {shown(each.get('name'))}, no name of an environment")
        if not rules.VERSION.fullmatch(str(each.get("version", ""))):
            yield what, Problem("version", f"is {shown(each.get('version'))}, no version")
        if not each.get("image"):
            yield what, Problem("image", "is missing")
    known = {f"azureml:{each.get('name')}:{each.get('version')}" for each in body["environments"]}
    for given in [body.get("pipeline") or body["job"], *body["after"]]:
        what = f"{given.get('type')} job {given.get('name')}"
        if not rules.NAME.fullmatch(str(given.get("name", ""))):
            yield what, Problem("name", f"is {shown(given.get('name'))}, no name of a job")
        problems = _document(given, known) if "jobs" in given else _alone(given, known)
        yield from ((what, problem) for problem in problems)


def _document(given: Mapping[str, Any], known: set[str]) -> Iterator[Problem]:
    """A pipelineJob: as it is sent but for modes, and components that are inline."""
    for name, each in given["jobs"].items():
        spec, path = each.get("component"), f"jobs[{name!r}]"
        if not isinstance(spec, Mapping):
            yield Problem(f"{path}.component", "is missing, or not inline")
            continue
        yield from component(spec, f"{path}.component")
        yield from _environment(spec, known, f"{path}.component")
        yield from _ours(each, spec, path)
        for name_, given_ in (("inputs", spec), ("outputs", spec)):
            for port in (each.get(name_) or {}).keys() ^ (given_.get(name_) or {}).keys():
                yield Problem(f"{path}.{name_}[{port!r}]", "is of the node or the component alone")
    sent = {
        name: {**each, "inputs": _sent(each.get("inputs")), "outputs": _sent(each.get("outputs")),
               "resources": (each.get("component") or {}).get("resources"),
               "distribution": (each.get("component") or {}).get("distribution")}
        for name, each in given["jobs"].items()
    }  # fmt: skip
    yield from pipeline({**given, "jobs": sent}, "")


def _alone(given: Mapping[str, Any], known: set[str]) -> Iterator[Problem]:
    """A commandJob."""
    from infra.azure import rules

    inputs, outputs = given.get("inputs") or {}, given.get("outputs") or {}
    yield from rules.words(str(given.get("command", "")), inputs, outputs, "command")
    yield from _environment(given, known, "")
    yield from _ours(given, given, "")
    yield from _ports(_sent(inputs), _sent(outputs), "")
    yield from _machines(given, None, "")


def _environment(given: Mapping[str, Any], known: set[str], path: str) -> Iterator[Problem]:
    if given.get("environment") not in known:
        told = f"is {shown(given.get('environment'))}, which this run does not make"
        yield Problem(f"{path}.environment".lstrip("."), told)


def _ours(given: Mapping[str, Any], spec: Mapping[str, Any], path: str) -> Iterator[Problem]:
    """What Azure takes, and a run of ours would pay for."""
    if "jobs" not in given and spec is not given and spec.get("is_deterministic") is not False:
        told = "is not false: Azure would take what an earlier run left, for want of a cache's key"
        yield Problem(f"{path}.component.is_deterministic", told)
    kept = (given.get("outputs") or {}).get(_CHECKPOINTS)
    if kept and kept.get("mode") != "rw_mount":
        told = f"is {kept.get('mode')!r}: what is not mounted is lost with a spot machine"
        yield Problem(f"{path}.outputs['{_CHECKPOINTS}'].mode".lstrip("."), told)
    if (given.get("queue_settings") or {}).get("job_tier") == "spot" and not kept:
        told = "is spot, and the step keeps no checkpoints: it would begin anew each time"
        yield Problem(f"{path}.queue_settings.job_tier".lstrip("."), told)


def _node(
    name: str, given: Any, nodes: Mapping[str, Any], default: Any, path: str
) -> Iterator[Problem]:
    if not _NODE.fullmatch(name):
        yield Problem(path, "is no name of a node: a-z, 0-9 and _, and no digit first")
    if not isinstance(given, Mapping):
        yield Problem(path, "is no object")
        return
    yield from _unknown(given, _OF_NODE, path, "a node")
    if given.get("type") != "command":
        yield Problem(f"{path}.type", f"is {given.get('type')!r}; here it is command")
    if not (given.get("componentId") or given.get("component")):
        yield Problem(f"{path}.componentId", "is missing")
    yield from _ports(given.get("inputs") or {}, given.get("outputs") or {}, path)
    yield from _bindings(given.get("inputs") or {}, nodes, path)
    yield from _machines(given, default, path)
    yield from _distribution(given.get("distribution"), f"{path}.distribution")


def _ports(inputs: Mapping[str, Any], outputs: Mapping[str, Any], path: str) -> Iterator[Problem]:
    from infra.azure import rules

    yield from rules.ports(inputs, outputs, path)
    for what, ports in (("inputs", inputs), ("outputs", outputs)):
        modes = rules.INPUTS if what == "inputs" else rules.OUTPUTS
        for name, each in ports.items():
            kind = each.get("job_input_type") or each.get("job_output_type") or each.get("type")
            where = f"{path}.{what}[{name!r}]".lstrip(".")
            if kind not in _TYPES | {"literal"}:
                yield Problem(f"{where}.type", f"is {kind!r}, which there is not")
            else:
                yield from rules.data(each, kind, modes, where)


def _bindings(inputs: Mapping[str, Any], nodes: Mapping[str, Any], path: str) -> Iterator[Problem]:
    """What is taken from another node is what that one has."""
    for name, each in inputs.items():
        text = str(each.get("value") or each.get("uri") or "")
        where = f"{path}.inputs[{name!r}]"
        if _PLACEHOLDER.search(text) and not _PARENT.fullmatch(text):
            yield Problem(where, f"is {shown(text)}, which names no output of a node")
            continue
        if (match := _PARENT.fullmatch(text)) is None:
            continue
        other = nodes.get(match[1])
        if not isinstance(other, Mapping):
            yield Problem(where, f"takes from {match[1]}, which is no node")
        elif match[2] not in (other.get("outputs") or {}):
            yield Problem(where, f"takes {match[2]} of {match[1]}, which has no such output")


def _machines(given: Mapping[str, Any], default: Any, path: str) -> Iterator[Problem]:
    from infra.azure import rules

    resources = given.get("resources") or {}
    compute = given.get("computeId") or given.get("compute") or default
    compute = str(compute).replace("azureml:", "/") if compute else compute
    tier = (given.get("queue_settings") or {}).get("job_tier")
    if tier is not None and str(tier).lower() not in ("spot", "basic", "standard", "premium"):
        yield Problem(f"{path}.queue_settings.job_tier".lstrip("."), f"is {shown(tier)}")
    for problem in rules.machines(
        compute, resources.get("instance_type"), tier, resources.get("instance_count"),
        bool(given.get("distribution")) or "componentId" in given, path,
    ):  # fmt: skip
        yield problem._replace(path=problem.path.lstrip("."))


def _distribution(given: Any, path: str) -> Iterator[Problem]:
    if given is None:
        return
    kind = given.get("type") or given.get("distribution_type") if isinstance(given, Mapping) else ""
    if str(kind).lower() not in _DISTRIBUTIONS:
        yield Problem(path, f"is of the type {kind!r}; it is one of {', '.join(_DISTRIBUTIONS)}")


def _order(nodes: Mapping[str, Any], path: str) -> Iterator[Problem]:
    """No node waits for itself, on whatever way."""
    waits = {name: _waits_for(each) & nodes.keys() for name, each in nodes.items()}
    done: set[str] = set()
    while ready := {name for name, others in waits.items() if name not in done and others <= done}:
        done |= ready
    if stuck := sorted(nodes.keys() - done):
        yield Problem(path.lstrip("."), f"{', '.join(stuck)} wait for each other")


def _waits_for(node: Any) -> set[str]:
    inputs = (node.get("inputs") or {}).values() if isinstance(node, Mapping) else ()
    texts = (str(each.get("value") or each.get("uri") or "") for each in inputs)
    return {match[1] for text in texts for match in _PARENT.finditer(text)}


def _sent(ports: Mapping[str, Any] | None) -> dict[str, Any]:
    """Inputs or outputs of a document as they are sent: uri for path, modes by their long names."""
    return {
        name: {"uri": each.get("path"), "job_input_type": each.get("type"),
               "mode": _MODES.get(each.get("mode", ""), each.get("mode"))}
        for name, each in (ports or {}).items()
    }  # fmt: skip


def _unknown(given: Mapping[str, Any], known: set[str], path: str, what: str) -> Iterator[Problem]:
    for name in given:
        if name not in known:
            yield Problem(f"{path}.{name}", f"is not a field of {what}")
