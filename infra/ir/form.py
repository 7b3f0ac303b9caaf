"""Which fields IR may have, and which of them have no reading yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from infra.errors import InputError, nearest

SCHEMA_VERSION = "2.1.0"
Node: TypeAlias = Mapping[str, Any]

_KNOWN: dict[str, set[str]] = {
    "pipeline": {
        "components", "defaultPipelineRoot", "deploymentSpec", "pipelineInfo", "root",
        "schemaVersion", "sdkVersion",
    },
    "component": {
        "dag", "executorLabel", "inputDefinitions", "outputDefinitions", "singlePlatformSpecs",
        "taskConfigPassthroughs",
    },
    "task": {
        "artifactIterator", "cachingOptions", "componentRef", "dependentTasks", "inputs",
        "iteratorPolicy", "parameterIterator", "retryPolicy", "taskInfo", "triggerPolicy",
    },
    "container": {"args", "command", "env", "image", "lifecycle", "resources"},
    "importer": {"artifactUri", "metadata", "reimport", "typeSchema"},
}  # fmt: skip

REFUSED: dict[str, str] = {
    "singlePlatformSpecs": "a component of one platform alone",
    "taskConfigPassthroughs": "a task config passthrough",
    "lifecycle": "a container lifecycle hook",
    "downloadToWorkspace": "a workspace of the pipeline",
    "resolver": "a resolver",
    "customJob": "a Vertex AI custom job",
}


def check(node: Node, kind: str, where: str) -> None:
    """Refuse a field that is not known, or is not read yet. Raises InputError naming it."""
    for key in node:
        if key in REFUSED and node[key]:
            raise InputError(f"{where} uses {REFUSED[key]}, which Trefoil does not read yet")
        if key not in _KNOWN[kind] and key not in REFUSED:
            hint = nearest(key, sorted(_KNOWN[kind]), "known are ")
            raise InputError(f"{where} has the unknown field {key}; {hint}")
