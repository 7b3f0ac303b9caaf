"""A pipeline's definition, one string to SageMaker's model: its steps and what they refer to.

The schema is https://aws-sagemaker-mlops.github.io/sagemaker-model-building-pipeline-definition-JSON-schema/
as of version 2020-12-01. A step's Arguments are held against the operation the service makes of
them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from infra.aws.validate import arguments, is_placeholder
from infra.cloud.problems import Problem

VERSION = "2020-12-01"
_LARGEST = 2**20
"""Bytes of a definition."""
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_JOBS = {
    "Training": ("CreateTrainingJob", "TrainingJobName"),
    "Processing": ("CreateProcessingJob", "ProcessingJobName"),
    "RegisterModel": ("CreateModelPackage", "ModelPackageName"),
    "Model": ("CreateModel", "ModelName"),
}
_TYPES = {*_JOBS, "Condition", "Fail"}
_COMPARISONS = {
    "Equals", "GreaterThan", "GreaterThanOrEqualTo", "LessThan", "LessThanOrEqualTo", "In", "Not",
    "Or",
}  # fmt: skip
_PARAMETERS = {"String", "Integer", "Float", "Boolean"}
_EXECUTION = {
    "Execution.PipelineName", "Execution.PipelineArn", "Execution.PipelineExecutionId",
    "Execution.PipelineExecutionArn", "Execution.StartDateTime", "Execution.CurrentDateTime",
}  # fmt: skip


def problems(operation: str, request: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with the definition in a request, if it has one."""
    text = request.get("PipelineDefinition")
    if operation not in ("CreatePipeline", "UpdatePipeline") or text is None:
        return
    if len(text.encode()) > _LARGEST:
        yield Problem("PipelineDefinition", f"has {len(text.encode())} bytes; the most is 1 MiB")
    try:
        document = json.loads(text)
        if not isinstance(document, dict):
            raise ValueError("it is no object")
    except (ValueError, RecursionError) as error:
        yield Problem("PipelineDefinition", f"is not JSON: {error}")
        return
    yield from check(document)


def check(document: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with a definition; paths are its own."""
    if document.get("Version") != VERSION:
        yield Problem("Version", f"is {document.get('Version')!r}, not {VERSION}")
    steps = list(_steps(document.get("Steps"), "Steps"))
    if not steps:
        yield Problem("Steps", "is empty or no list of steps")
        return
    yield from _check_parameters(document.get("Parameters", []))
    named: dict[str, Mapping[str, Any]] = {}
    for path, step in steps:
        name = step.get("Name")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            yield Problem(f"{path}.Name", f"is {name!r}, not 1 to 64 of A-Z, a-z, 0-9, _ and -")
        elif name in named:
            yield Problem(f"{path}.Name", f"is {name} once more; each step has its own")
        else:
            named[name] = step
    parameters = {each.get("Name") for each in document.get("Parameters", [])}
    for path, step in steps:
        yield from _check_step(step, path)
        yield from _check_references(step, path, named, parameters)
    yield from _check_order(named)


def _steps(given: Any, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every step with its path, those of branches after their condition."""
    for at, step in enumerate(given if isinstance(given, list) else ()):
        if not isinstance(step, Mapping):
            continue
        yield f"{path}[{at}]", step
        arguments = step.get("Arguments")
        if step.get("Type") == "Condition" and isinstance(arguments, Mapping):
            for branch in ("IfSteps", "ElseSteps"):
                yield from _steps(arguments.get(branch), f"{path}[{at}].Arguments.{branch}")


def _check_parameters(given: Any) -> Iterator[Problem]:
    for at, each in enumerate(given):
        if each.get("Type") not in _PARAMETERS:
            known = ", ".join(sorted(_PARAMETERS))
            yield Problem(f"Parameters[{at}].Type", f"is {each.get('Type')!r}, none of {known}")


def _check_step(step: Mapping[str, Any], path: str) -> Iterator[Problem]:
    kind, given = step.get("Type"), step.get("Arguments")
    if kind not in _TYPES:
        yield Problem(f"{path}.Type", f"is {kind!r}, none of {', '.join(sorted(_TYPES))}")
    elif not isinstance(given, Mapping):
        yield Problem(f"{path}.Arguments", "is missing, or no object")
    elif kind in _JOBS:
        operation, named = _JOBS[kind]
        yield from arguments(operation, given, f"{path}.Arguments", named)
    elif kind == "Condition":
        yield from _check_condition(given, f"{path}.Arguments")
    elif "ErrorMessage" not in given:
        yield Problem(f"{path}.Arguments.ErrorMessage", "is missing")


def _check_condition(given: Mapping[str, Any], path: str) -> Iterator[Problem]:
    conditions = given.get("Conditions")
    if not isinstance(conditions, list) or not conditions:
        yield Problem(f"{path}.Conditions", "is empty or no list")
        return
    for at, each in enumerate(conditions):
        yield from _check_comparison(each, f"{path}.Conditions[{at}]")


def _check_comparison(given: Any, path: str) -> Iterator[Problem]:
    kind = given.get("Type") if isinstance(given, Mapping) else None
    if kind not in _COMPARISONS:
        yield Problem(f"{path}.Type", f"is {kind!r}, none of {', '.join(sorted(_COMPARISONS))}")
    elif kind == "Not":
        yield from _check_comparison(given.get("Expression"), f"{path}.Expression")
    elif kind == "Or":
        for at, each in enumerate(given.get("Conditions", ())):
            yield from _check_comparison(each, f"{path}.Conditions[{at}]")
    else:
        wanted = ("QueryValue", "Values") if kind == "In" else ("LeftValue", "RightValue")
        for name in wanted:
            if name not in given:
                yield Problem(f"{path}.{name}", "is missing")


# --- references


def _check_references(
    step: Mapping[str, Any], path: str, named: Mapping[str, Any], parameters: set[Any]
) -> Iterator[Problem]:
    for name in step.get("DependsOn", ()):
        if name not in named:
            yield Problem(f"{path}.DependsOn", f"names {name}, which is no step")
    for where, found in _placeholders(_own(step), path):
        if "Get" in found:
            yield from _check_get(str(found["Get"]), where, named, parameters)
        elif "Std:JsonGet" in found:
            yield from _check_file(found["Std:JsonGet"], where, named)


def _check_get(
    text: str, where: str, named: Mapping[str, Any], parameters: set[Any]
) -> Iterator[Problem]:
    kind, _, rest = text.partition(".")
    if kind == "Steps" and rest.partition(".")[0].partition("[")[0] in named:
        return
    if kind == "Parameters" and rest in parameters:
        return
    if text not in _EXECUTION:
        yield Problem(where, f"gets {text}, which is nothing of this pipeline's")


def _check_file(given: Any, where: str, named: Mapping[str, Any]) -> Iterator[Problem]:
    file = given.get("PropertyFile", {}) if isinstance(given, Mapping) else {}
    words = str(file.get("Get", "") if isinstance(file, Mapping) else "").split(".")
    step = named.get(words[1]) if len(words) == 4 and words[0] == "Steps" else None
    known = {each.get("PropertyFileName") for each in step.get("PropertyFiles", ())} if step else ()
    if step is None or words[3] not in known:
        yield Problem(where, f"reads {'.'.join(words)}, which no step declares in PropertyFiles")
    if not isinstance(given, Mapping) or not given.get("Path"):
        yield Problem(f"{where}.Path", "is missing")


def _check_order(named: Mapping[str, Mapping[str, Any]]) -> Iterator[Problem]:
    """No step waits for itself, on whatever way."""
    waits = {name: _waits_for(step) & named.keys() for name, step in named.items()}
    done: set[str] = set()
    while ready := {name for name, others in waits.items() if name not in done and others <= done}:
        done |= ready
    if stuck := sorted(named.keys() - done):
        yield Problem("Steps", f"{', '.join(stuck)} wait for each other")


def _waits_for(step: Mapping[str, Any]) -> set[str]:
    found = set(step.get("DependsOn", ()))
    for _, each in _placeholders(_own(step), ""):
        file = each.get("Std:JsonGet", {})
        text = str(each.get("Get") or (file.get("PropertyFile", {}) or {}).get("Get", ""))
        if text.startswith("Steps."):
            found.add(text.split(".")[1].partition("[")[0])
    return found


def _own(step: Mapping[str, Any]) -> Mapping[str, Any]:
    """A step without the steps of its branches, which are steps of their own."""
    given = step.get("Arguments")
    if step.get("Type") != "Condition" or not isinstance(given, Mapping):
        return step
    inner = {k: v for k, v in given.items() if k not in ("IfSteps", "ElseSteps")}
    return {**step, "Arguments": inner}


def _placeholders(value: Any, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if is_placeholder(value):
        yield path, value
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _placeholders(item, f"{path}.{name}")
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from _placeholders(item, f"{path}[{at}]")
