"""Lightweight Python components: KFP's ExecutorInput for them, and what they write back.

The forms are ExecutorInput and ExecutorOutput of kubeflow/pipelines
api/v2alpha1/pipeline_spec.proto. A path stands for the URI: both are the same place here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from infra.cache import OUTPUTS
from infra.errors import StepFailed
from infra.local.command import WRITTEN_BACK
from infra.local.values import Results
from infra.plan import FinalStatus, Json, Step, as_text
from infra.storage import write_whole


def executor_input(
    step: Step, results: Results, work: str, places: Callable[[str], list[str]]
) -> str:
    """Every input of a step and the place of every output in ``work``, as the step sees them.

    ``places`` says where it sees an input artefact. Raises Missing where an input is.
    """
    values: dict[str, Json] = {}
    artifacts: dict[str, Json] = {}
    for name, source in step.inputs.items():
        if results.is_artifact(source):
            found = zip(places(name), results.artifacts(source), strict=True)
            listed = [_artifact(place, each.schema, each.metadata) for place, each in found]
            artifacts[name] = {"artifacts": listed}
        else:
            value = results.value(source, step)
            values[name] = json.loads(str(value)) if isinstance(source, FinalStatus) else value
    made: dict[str, Json] = {
        name: {"artifacts": [_artifact(f"{work}/{OUTPUTS}/{name}", kind, {})]}
        for name, kind in step.artifacts.items()
    }
    files: dict[str, Json] = {name: {"outputFile": f"{work}/{name}"} for name in step.parameters}
    return as_text(
        {
            "inputs": {"parameterValues": values, "artifacts": artifacts},
            "outputs": {
                "parameters": files,
                "artifacts": made,
                "outputFile": f"{work}/{WRITTEN_BACK}",
            },
        }
    )


def executor_output(step: Step, work: Path) -> dict[str, Json]:
    """The metadata of each artefact that the step tells of.

    The values that it returned are put into files, where other steps write theirs. An artefact
    that is told of and has no file, as of metrics alone, gets one with the metadata. Raises
    StepFailed.
    """
    try:
        told = json.loads((work / WRITTEN_BACK).read_text(encoding="utf-8"))
        for name, value in told.get("parameterValues", {}).items():
            if name in step.parameters and not (work / name).exists():
                write_whole(work / name, as_text(value))
        listed = {name: found["artifacts"] for name, found in told.get("artifacts", {}).items()}
        first = {name: listed[name][0] for name in step.artifacts if listed.get(name)}
        for name, artifact in first.items():
            _stand_in(step, work, name, artifact)
        return {name: artifact.get("metadata", {}) for name, artifact in first.items()}
    except (ValueError, LookupError, TypeError, AttributeError):
        raise StepFailed(f"{step.name} wrote {WRITTEN_BACK} not as KFP has it") from None


def _artifact(place: str, schema: str, metadata: Mapping[str, Json]) -> Json:
    return {
        "name": place.rpartition("/")[2],
        "type": {"schemaTitle": schema, "schemaVersion": "0.0.1"},
        "uri": place,
        "metadata": dict(metadata),
    }


def _stand_in(step: Step, work: Path, name: str, artifact: dict[str, Json]) -> None:
    place = work / OUTPUTS / name
    if place.exists():
        return
    if not str(artifact.get("uri")).endswith(f"/{work.name}/{OUTPUTS}/{name}"):
        raise StepFailed(
            f"{step.name} says that its output {name} lies at {artifact.get('uri')}; "
            "it must write to the path that it is given"
        )
    metadata = artifact.get("metadata", {})
    told = {"metrics": metadata} if "Metrics" in step.artifacts[name] else metadata
    write_whole(place, as_text(told))
