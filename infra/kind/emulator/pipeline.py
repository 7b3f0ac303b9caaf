"""Whether KFP would take a pipeline and its parameters: its own protobufs read them, strictly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra import ir
from infra.errors import InputError
from infra.kind.emulator.refusal import INVALID, Refused
from infra.plan import Plan


def read(spec: Mapping[str, Any], parameters: Mapping[str, Any]) -> Plan:
    """The plan of a posted ``pipeline_spec``. Raises Refused with the place of the fault."""
    wrapped = "pipeline_spec" in spec
    pipeline = spec["pipeline_spec"] if wrapped else spec
    platforms = spec.get("platform_spec") or {} if wrapped else {}
    if wrapped and (unknown := sorted(spec.keys() - {"pipeline_spec", "platform_spec"})):
        raise Refused(INVALID, f"$.pipeline_spec.{unknown[0]} is not a field of a pipeline spec")
    _check_pipeline(pipeline)
    _check_platforms(platforms, pipeline)
    _check_parameters(pipeline, parameters)
    try:
        return ir.read({"pipeline": pipeline, "platforms": platforms}, parameters)
    except InputError as error:
        raise Refused(INVALID, f"the stand-in cannot execute this pipeline: {error}") from None


def _check_pipeline(pipeline: Any) -> None:
    from kfp.pipeline_spec import pipeline_spec_pb2

    found = _parse(pipeline, pipeline_spec_pb2.PipelineSpec(), "$.pipeline_spec")
    if not found.pipeline_info.name:
        raise Refused(INVALID, "$.pipeline_spec.pipelineInfo.name is empty")
    if not found.root.dag.tasks:
        raise Refused(INVALID, "$.pipeline_spec.root.dag has no tasks")
    for name, component in (("root", found.root), *found.components.items()):
        for task, told in component.dag.tasks.items():
            if told.component_ref.name not in found.components:
                where = f"$.pipeline_spec.components.{name}.dag.tasks.{task}"
                raise Refused(INVALID, f"{where}: no component {told.component_ref.name!r}")
    executors = pipeline.get("deploymentSpec", {}).get("executors", {})
    for name, component in found.components.items():
        label = component.executor_label
        if label and label not in executors:
            where = f"$.pipeline_spec.components.{name}.executorLabel"
            raise Refused(INVALID, f"{where}: no executor {label!r}")
    config = pipeline_spec_pb2.PipelineDeploymentConfig()
    _parse(pipeline.get("deploymentSpec", {}), config, "$.pipeline_spec.deploymentSpec")


def _check_platforms(platforms: Any, pipeline: Mapping[str, Any]) -> None:
    """The part for Kubernetes, where kfp-kubernetes is there to read it; else its form alone."""
    from kfp.pipeline_spec import pipeline_spec_pb2

    _parse(platforms, pipeline_spec_pb2.PlatformSpec(), "$.platform_spec")
    try:
        from kfp.kubernetes import kubernetes_executor_config_pb2 as config
    except ImportError:
        return
    known = pipeline.get("deploymentSpec", {}).get("executors", {})
    own = platforms.get("platforms", {}).get("kubernetes", {})
    for label, executor in own.get("deploymentSpec", {}).get("executors", {}).items():
        where = f"$.platform_spec.platforms.kubernetes.deploymentSpec.executors.{label}"
        if label not in known:
            raise Refused(INVALID, f"{where}: the pipeline has no such executor")
        _parse(executor, config.KubernetesExecutorConfig(), where)


def _check_parameters(pipeline: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    declared = pipeline["root"].get("inputDefinitions", {}).get("parameters", {})
    if unknown := sorted(given.keys() - declared.keys()):
        names = ", ".join(unknown)
        raise Refused(INVALID, f"parameter(s) provided are not required by pipeline: {names}")
    for name, definition in declared.items():
        optional = definition.get("isOptional") or "defaultValue" in definition
        if name not in given and not optional:
            raise Refused(
                INVALID,
                f"parameter {name} is not optional, yet has neither default value nor user "
                "provided value",
            )


def _parse(document: Any, into: Any, where: str) -> Any:
    from google.protobuf import json_format

    try:
        return json_format.ParseDict(document, into)
    except (json_format.ParseError, TypeError, AttributeError) as error:
        words = " ".join(str(error).split())
        raise Refused(INVALID, f"{where}: {words}"[:500]) from None
