"""The fields that IR has, and the type of each: ``!`` behind a name marks one that must be there.

Names are those of pipeline_spec.proto. What stands neither here nor in ``REFUSED`` is unknown.
"""

from __future__ import annotations

import re
from typing import NamedTuple

REFUSED: dict[str, str] = {
    "singlePlatformSpecs": "a component of one platform alone",
    "taskConfigPassthroughs": "a task config passthrough",
    "lifecycle": "a container lifecycle hook",
    "downloadToWorkspace": "a workspace of the pipeline",
    "resolver": "a resolver",
    "customJob": "a Vertex AI custom job",
}


class Names(NamedTuple):
    """A rule for names of the writer's own: all of them become names of files, of labels, or both.

    ``words`` say it to a person.
    """

    pattern: re.Pattern[str]
    words: str

    def allow(self, name: object) -> bool:
        """Whether something may be called so."""
        return (
            isinstance(name, str) and len(name) <= _LONGEST and bool(self.pattern.fullmatch(name))
        )


class Each(NamedTuple):
    """An object whose keys are names of the writer's own, and whose values are alike."""

    value: object
    names: Names | None = None


class OneOf(NamedTuple):
    """One of some words."""

    words: tuple[str, ...]


_LONGEST = 128
PIPELINE_NAME = Names(
    re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?"),
    f"up to {_LONGEST} small letters, digits, inner hyphens and dots",
)
"""By the rule of KFP's API server."""
_TASK_NAME = Names(
    re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*"), f"up to {_LONGEST} letters, digits and inner hyphens"
)
"""By the rule of Argo."""
_KEY = Names(
    re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*"),
    f"up to {_LONGEST} letters, digits, underscores and inner hyphens",
)
"""Of an input or output."""

TEXT, NUMBER, FLAG, OBJECT, ANY = "text", "a number", "true or false", "an object", "anything"
SIZE = "a number or text"
_TYPES = OneOf(
    ("STRING", "NUMBER_INTEGER", "NUMBER_DOUBLE", "BOOLEAN", "LIST", "STRUCT", "TASK_FINAL_STATUS")
)
_STRATEGIES = OneOf(("ALL_UPSTREAM_TASKS_SUCCEEDED", "ALL_UPSTREAM_TASKS_COMPLETED"))
_SCHEMA = {
    "instanceSchema": TEXT, "schemaTitle": TEXT, "schemaUri": TEXT, "schemaVersion": TEXT,
}  # fmt: skip
_CONSTANT = {"constant": ANY, "runtimeParameter": TEXT}
_PARAMETER = {
    "defaultValue": ANY, "description": TEXT, "isOptional": FLAG, "literals": [ANY],
    "parameterType!": _TYPES,
}  # fmt: skip
_ARTIFACT = {
    "artifactType!": _SCHEMA, "description": TEXT, "isArtifactList": FLAG, "isOptional": FLAG,
    "metadata": OBJECT,
}  # fmt: skip
_DEFINITIONS = {"artifacts": Each(_ARTIFACT, _KEY), "parameters": Each(_PARAMETER, _KEY)}
_PARAMETER_OF = {"outputParameterKey!": TEXT, "producerSubtask!": TEXT}
_ARTIFACT_OF = {"outputArtifactKey!": TEXT, "producerSubtask!": TEXT}
_OUTPUTS = {
    "artifacts": Each({"artifactSelectors!": [_ARTIFACT_OF]}),
    "parameters": Each(
        {"valueFromOneof": {"parameterSelectors!": [_PARAMETER_OF]},
         "valueFromParameter": _PARAMETER_OF}
    ),
}  # fmt: skip
COMPONENT = {
    "dag": {"outputs": _OUTPUTS, "tasks!": Each(OBJECT, _TASK_NAME)},
    "executorLabel": TEXT, "inputDefinitions": _DEFINITIONS, "outputDefinitions": _DEFINITIONS,
}  # fmt: skip
TASK = {
    "artifactIterator": {"itemInput!": TEXT, "items!": {"inputArtifact!": TEXT}},
    "cachingOptions": {"cacheKey": TEXT, "enableCache": FLAG},
    "componentRef!": {"name!": TEXT},
    "dependentTasks": [TEXT],
    "inputs": {
        "artifacts": Each(
            {"componentInputArtifact": TEXT,
             "taskOutputArtifact": {"outputArtifactKey!": TEXT, "producerTask!": TEXT}}
        ),
        "parameters": Each(
            {"componentInputParameter": TEXT, "parameterExpressionSelector": TEXT,
             "runtimeValue": _CONSTANT, "taskFinalStatus": {"producerTask!": TEXT},
             "taskOutputParameter": {"outputParameterKey!": TEXT, "producerTask!": TEXT}}
        ),
    },
    "iteratorPolicy": {"parallelismLimit": NUMBER},
    "parameterIterator": {
        "itemInput!": TEXT, "items!": {"inputParameter": TEXT, "raw": TEXT},
    },
    "retryPolicy": {
        "backoffDuration": TEXT, "backoffFactor": NUMBER, "backoffMaxDuration": TEXT,
        "maxRetryCount": NUMBER,
    },
    "taskInfo": {"name": TEXT},
    "triggerPolicy": {"condition": TEXT, "strategy": _STRATEGIES},
}  # fmt: skip
_RESOURCES = {
    "accelerator": {
        "count": SIZE, "resourceCount": SIZE, "resourceType": TEXT, "type": TEXT,
    },
    "cpuLimit": SIZE, "cpuRequest": SIZE, "memoryLimit": SIZE, "memoryRequest": SIZE,
    "resourceCpuLimit": SIZE, "resourceCpuRequest": SIZE, "resourceMemoryLimit": SIZE,
    "resourceMemoryRequest": SIZE,
}  # fmt: skip
EXECUTOR = {
    "container": {
        "args": [TEXT], "command": [TEXT], "env": [{"name!": TEXT, "value": TEXT}],
        "image!": TEXT, "resources": _RESOURCES,
    },
    "importer": {
        "artifactUri!": _CONSTANT, "metadata": OBJECT, "reimport": FLAG, "typeSchema!": _SCHEMA,
    },
}  # fmt: skip
PIPELINE = {
    "components": Each(OBJECT), "defaultPipelineRoot": TEXT,
    "deploymentSpec!": {"executors!": Each(OBJECT)},
    "pipelineInfo!": {"description": TEXT, "displayName": TEXT, "name!": TEXT},
    "root!": COMPONENT, "schemaVersion": ANY, "sdkVersion": TEXT,
}  # fmt: skip
PLATFORMS = {
    "platforms": Each(
        {"config": OBJECT, "deploymentSpec": {"executors": Each(OBJECT)},
         "pipelineConfig": OBJECT, "platform": TEXT}
    )
}  # fmt: skip
