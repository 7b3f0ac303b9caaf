"""Whether Vertex AI would take a pipeline: kfp's own protobufs read its IR, strictly.

To Vertex AI's description a pipelineSpec is any object. Which fields of kfp 2.17 it really takes
nobody could try here.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from infra.cloud.problems import Problem
from infra.gcp.jobs import CUSTOM_JOB, LAUNCHER, POOLS, payload_of
from infra.gcp.validate import VERTEX, shaped

_SPEC = "pipelineSpec"


def problems(request: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with the pipeline of a PipelineJob, and with what it is given."""
    spec = request.get(_SPEC)
    if not spec:
        return
    found = list(_read_by_kfp(spec))
    yield from found
    if found:
        return
    yield from _references(spec)
    runtime = request.get("runtimeConfig") or {}
    yield from _parameters(spec, runtime.get("parameterValues") or {})
    executors = spec["deploymentSpec"].get("executors", {})
    for label, executor in executors.items():
        path = f"{_SPEC}.deploymentSpec.executors.{label}.container"
        yield from _container(executor.get("container") or {}, path, _pools(spec, label))


def _read_by_kfp(spec: Any) -> Iterator[Problem]:
    protobufs = _protobufs()
    if protobufs is None:
        return
    yield from _parse(spec, protobufs.PipelineSpec(), _SPEC)
    deployment = spec.get("deploymentSpec", {}) if isinstance(spec, Mapping) else {}
    yield from _parse(deployment, protobufs.PipelineDeploymentConfig(), f"{_SPEC}.deploymentSpec")


def _parse(document: Any, into: Any, path: str) -> Iterator[Problem]:
    from google.protobuf import json_format

    try:
        json_format.ParseDict(document, into)
    except (json_format.ParseError, TypeError, AttributeError) as error:
        yield Problem(path, f"cannot be read: {' '.join(str(error).split())}"[:400])


@functools.cache
def _protobufs() -> ModuleType | None:
    """kfp's, without kfp: that takes two seconds to load. None where it is not installed."""
    kfp = importlib.util.find_spec("kfp")
    if kfp is None or not kfp.submodule_search_locations:
        return None
    place = Path(kfp.submodule_search_locations[0], "pipeline_spec", "pipeline_spec_pb2.py")
    if not place.is_file():
        place = next(Path(p) for p in kfp.submodule_search_locations) / "pipeline_spec_pb2.py"
    spec = importlib.util.spec_from_file_location("trefoil_pipeline_spec_pb2", place)
    if spec is None or spec.loader is None or not place.is_file():
        return None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _references(spec: Mapping[str, Any]) -> Iterator[Problem]:
    components = spec.get("components", {})
    executors = spec.get("deploymentSpec", {}).get("executors", {})
    if not spec.get("pipelineInfo", {}).get("name"):
        yield Problem(f"{_SPEC}.pipelineInfo.name", "is missing")
    if not spec.get("root", {}).get("dag", {}).get("tasks"):
        yield Problem(f"{_SPEC}.root.dag.tasks", "is missing")
    for name, component in (("root", spec.get("root", {})), *components.items()):
        where = f"{_SPEC}.{'root' if name == 'root' else f'components.{name}'}"
        label = component.get("executorLabel")
        if label and label not in executors:
            yield Problem(f"{where}.executorLabel", f"is {label}, and there is no such executor")
        for task, told in component.get("dag", {}).get("tasks", {}).items():
            wanted = told.get("componentRef", {}).get("name", "")
            if wanted not in components:
                path = f"{where}.dag.tasks.{task}.componentRef.name"
                yield Problem(path, f"is {wanted}, and there is no such component")


def _parameters(spec: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[Problem]:
    declared = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    for name in given:
        if name not in declared:
            path = f"runtimeConfig.parameterValues[{name!r}]"
            yield Problem(path, "is no parameter of the pipeline")
    for name, definition in declared.items():
        optional = definition.get("isOptional") or "defaultValue" in definition
        if name not in given and not optional:
            yield Problem(f"runtimeConfig.parameterValues[{name!r}]", "is missing")


def _pools(spec: Mapping[str, Any], label: str) -> Any:
    """The containers that the launcher of an executor is told by its component."""
    for component in spec.get("components", {}).values():
        if component.get("executorLabel") == label:
            inputs = component.get("inputDefinitions", {}).get("parameters", {})
            return inputs.get(POOLS, {}).get("defaultValue", [])
    return []


def _container(container: Mapping[str, Any], path: str, pools: Any) -> Iterator[Problem]:
    if container.get("image") == LAUNCHER:
        yield from _custom_job(container, path, pools)
        return
    accelerator = container.get("resources", {}).get("accelerator")
    if not accelerator:
        return
    known = _accelerators()
    for name in ("type", "resourceType"):
        if accelerator.get(name) not in known:
            at = f"{path}.resources.accelerator.{name}"
            yield Problem(at, f"is {accelerator.get(name)}, none of Vertex AI's accelerators")


def _custom_job(container: Mapping[str, Any], path: str, pools: Any) -> Iterator[Problem]:
    """The CustomJob that Google's launcher is told to start."""
    from infra.gcp import rules

    args = container.get("args", [])
    if CUSTOM_JOB not in args:
        yield Problem(f"{path}.args", "tell the launcher of no CustomJob")
        return
    try:
        body = payload_of(container, pools)
    except ValueError as error:
        yield Problem(f"{path}.args", f"have a payload that is not JSON: {error}")
        return
    found = shaped(VERTEX, "aiplatform.projects.locations.customJobs.create", body)
    found = found or list(rules.problems("customJobs.create", body))
    yield from (Problem(f"{path}.payload.{each.path}", each.words) for each in found)


@functools.cache
def _accelerators() -> frozenset[str]:
    """Vertex AI's names of accelerators."""
    from infra.gcp.validate import document

    schemas = document(VERTEX)["schemas"]
    machine = schemas["GoogleCloudAiplatformV1MachineSpec"]["properties"]
    return frozenset(machine["acceleratorType"]["enum"][1:])
