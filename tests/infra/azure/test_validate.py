"""What Azure would refuse is refused here, at the path of the fault.

The cases are written from the API reference; without them a rehearsal would pass what Azure
refuses, or what it takes and passes over.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infra.azure import validate
from infra.azure.emulator.check import check
from infra.azure.emulator.refusal import Refused
from tests.infra.azure.bodies import (
    COMMAND,
    GONE,
    GOOD,
    PIPELINE,
    STORE,
    spoiled,
)

P = "properties"
_SPEC, _JOBS = f"{P}.componentSpec", f"{P}.jobs"
_TRAIN, _PREPARE = f"{_JOBS}['train']", f"{_JOBS}['prepare']"
_FOLDER = {"jobInputType": "uri_folder", "uri": f"{STORE}/x/"}

BAD: list[tuple[str, str, Any, str]] = [
    # of the model: required, type, enumeration, pattern, kind, unknown
    ("command", P, GONE, P),
    ("command", f"{P}.jobType", GONE, f"{P}.jobType"),
    ("command", f"{P}.jobType", "Batch", f"{P}.jobType"),
    ("command", f"{P}.command", GONE, f"{P}.command"),
    ("command", f"{P}.command", "", f"{P}.command"),
    ("command", f"{P}.command", "...", f"{P}.command"),
    ("command", f"{P}.command", ["python3"], f"{P}.command"),
    ("command", f"{P}.environmentId", GONE, f"{P}.environmentId"),
    ("command", f"{P}.colour", "blue", f"{P}.colour"),
    ("command", f"{P}.resources.instanceCount", "2", f"{P}.resources.instanceCount"),
    ("command", f"{P}.resources.instanceCount", 0, f"{P}.resources.instanceCount"),
    ("command", f"{P}.resources.instanceCount", True, f"{P}.resources.instanceCount"),
    ("command", f"{P}.resources.shmSize", "2 GB", f"{P}.resources.shmSize"),
    ("command", f"{P}.resources.gpus", 1, f"{P}.resources.gpus"),
    ("command", f"{P}.limits.timeout", "1h", f"{P}.limits.timeout"),
    ("command", f"{P}.limits.timeout", 3600, f"{P}.limits.timeout"),
    ("command", f"{P}.limits.jobLimitsType", GONE, f"{P}.limits.jobLimitsType"),
    ("command", f"{P}.queueSettings.jobTier", "Cheap", f"{P}.queueSettings.jobTier"),
    ("command", f"{P}.distribution.distributionType", "torchrun",
     f"{P}.distribution.distributionType"),
    ("command", f"{P}.distribution.processCountPerInstance", 1.5,
     f"{P}.distribution.processCountPerInstance"),
    ("command", f"{P}.identity.identityType", "Root", f"{P}.identity.identityType"),
    ("command", f"{P}.inputs[trefoil].jobInputType", "folder",
     f"{P}.inputs['trefoil'].jobInputType"),
    ("command", f"{P}.inputs[trefoil].mode", "Mount", f"{P}.inputs['trefoil'].mode"),
    ("command", f"{P}.inputs[trefoil].uri", GONE, f"{P}.inputs['trefoil'].uri"),
    ("command", f"{P}.inputs[rate].value", GONE, f"{P}.inputs['rate'].value"),
    ("command", f"{P}.inputs[rate].value", 0.1, f"{P}.inputs['rate'].value"),
    ("command", f"{P}.outputs[left].jobOutputType", GONE, f"{P}.outputs['left'].jobOutputType"),
    ("command", f"{P}.environmentVariables", {"A": 1}, f"{P}.environmentVariables['A']"),
    ("command", f"{P}.tags", ["a"], f"{P}.tags"),
    ("pipeline", f"{P}.jobs", ["prepare"], f"{P}.jobs"),
    ("environment", f"{P}.osType", "Darwin", f"{P}.osType"),
    ("environment", f"{P}.imageUri", "x", f"{P}.imageUri"),
    ("data", f"{P}.dataUri", GONE, f"{P}.dataUri"),
    ("data", f"{P}.dataType", "folder", f"{P}.dataType"),
    # of the reference, beside the model
    ("command", f"{P}.environmentId", "trefoil-trainer", f"{P}.environmentId"),
    ("command", f"{P}.command", "python3 ${{inputs.missing}}", f"{P}.command"),
    ("command", f"{P}.command", "python3 ${{outputs.missing}}", f"{P}.command"),
    ("command", f"{P}.command", "python3 ${{name}}", f"{P}.command"),
    ("command", f"{P}.inputs", {"trefoil": _FOLDER, "two words": _FOLDER},
     f"{P}.inputs['two words']"),
    ("command", f"{P}.inputs", {"trefoil": _FOLDER, "left": _FOLDER}, f"{P}.outputs['left']"),
    ("command", f"{P}.inputs[trefoil].uri", "s3://bucket/x", f"{P}.inputs['trefoil'].uri"),
    ("command", f"{P}.inputs[trefoil].mode", "Upload", f"{P}.inputs['trefoil'].mode"),
    ("command", f"{P}.outputs[left].mode", "ReadOnlyMount", f"{P}.outputs['left'].mode"),
    ("command", f"{P}.resources.instanceType", GONE, f"{P}.resources.instanceType"),
    ("command", f"{P}.computeId", "/x/computes/gpus", f"{P}.resources.instanceType"),
    ("command", f"{P}.distribution", GONE, f"{P}.distribution"),
    ("command", f"{P}.tags", {f"t{n}": "1" for n in range(51)}, f"{P}.tags"),
    ("command", f"{P}.tags", {"t": "x" * 257}, f"{P}.tags['t']"),
    ("environment", f"{P}.image", GONE, f"{P}.image"),
    ("environment", f"{P}.build", {"contextUri": "https://x/y"}, f"{P}.build"),
    ("environment", f"{P}.image", "two words", f"{P}.image"),
    # of graphs, which the model leaves open
    ("pipeline", f"{P}.jobs", {}, f"{P}.jobs"),
    ("pipeline", f"{_JOBS}.train.type", "spark", f"{_TRAIN}.type"),
    ("pipeline", f"{_JOBS}.train.componentId", GONE, f"{_TRAIN}.componentId"),
    ("pipeline", f"{_JOBS}.train.retries", 3, f"{_TRAIN}.retries"),
    ("pipeline", f"{_JOBS}.Train-2", PIPELINE[P]["jobs"]["prepare"], f"{_JOBS}['Train-2']"),
    ("pipeline", f"{_JOBS}.train.inputs.from_prepare.value",
     "${{parent.jobs.nobody.outputs.left}}", f"{_TRAIN}.inputs['from_prepare']"),
    ("pipeline", f"{_JOBS}.train.inputs.from_prepare.value",
     "${{parent.jobs.prepare.outputs.right}}", f"{_TRAIN}.inputs['from_prepare']"),
    ("pipeline", f"{_JOBS}.train.inputs.from_prepare.value",
     "${{parent.inputs.data}}", f"{_TRAIN}.inputs['from_prepare']"),
    ("pipeline", f"{_JOBS}.prepare.inputs.trefoil", {
        "job_input_type": "literal", "value": "${{parent.jobs.train.outputs.left}}",
    }, _JOBS),
    ("pipeline", f"{_JOBS}.train.queue_settings.job_tier", "Cheap",
     f"{_TRAIN}.queue_settings.job_tier"),
    ("pipeline", f"{_JOBS}.prepare.resources.instance_type", GONE,
     f"{_PREPARE}.resources.instanceType"),
    ("pipeline", f"{_JOBS}.prepare.outputs.left.mode", "ReadOnlyMount",
     f"{_PREPARE}.outputs['left'].mode"),
    ("component", _SPEC, "python3", _SPEC),
    ("component", f"{_SPEC}.command", GONE, f"{_SPEC}.command"),
    ("component", f"{_SPEC}.environment", "", f"{_SPEC}.environment"),
    ("component", f"{_SPEC}.type", "script", f"{_SPEC}.type"),
    ("component", f"{_SPEC}.commands", ["x"], f"{_SPEC}.commands"),
    ("component", f"{_SPEC}.inputs.trefoil.type", "folder", f"{_SPEC}.inputs['trefoil'].type"),
    ("component", f"{_SPEC}.outputs.left.type", "string", f"{_SPEC}.outputs['left'].type"),
    ("component", f"{_SPEC}.command", "run ${{inputs.x}}", f"{_SPEC}.command"),
    ("component", f"{_SPEC}.distribution.type", "slurm", f"{_SPEC}.distribution"),
    ("component", f"{_SPEC}.resources.shm_size", 2, f"{_SPEC}.resources.shm_size"),
]  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_what_the_reference_shows_is_taken(name: str) -> None:
    """A validator that refuses what is right would be switched off."""
    assert validate.problems(*GOOD[name]) == []


@pytest.mark.parametrize(
    ("name", "path", "value", "fault"),
    BAD,
    ids=[f"{n}-{p}-{at}" for at, (n, p, *_) in enumerate(BAD)],
)
def test_a_bad_body_is_refused_at_the_path_of_its_fault(
    name: str, path: str, value: Any, fault: str
) -> None:
    kind, version, body = GOOD[name]
    found = validate.problems(kind, version, spoiled(body, path, value))
    assert fault in [each.path for each in found], found
    assert all(each.words for each in found)


def test_there_are_forty_and_more() -> None:
    assert len(BAD) > 40


def test_every_fault_is_told_at_once_as_azure_writes_it() -> None:
    """A person mends all of it, and runs once."""
    body = spoiled(spoiled(COMMAND, f"{P}.command", GONE), f"{P}.limits.timeout", "1h")
    with pytest.raises(Refused) as told:
        check("jobs", "2025-01-01-preview", body)
    assert [path for path, _ in told.value.details] == [f"{P}.command", f"{P}.limits.timeout"]
    assert told.value.status == 400


def test_a_newer_version_of_the_api_is_held_against_the_nearest_one_before() -> None:
    body = spoiled(COMMAND, f"{P}.queueSettings.jobTier", "Cheap")
    assert validate.problems("jobs", "2026-01-01", body)
    with pytest.raises(KeyError):
        validate.problems("notebooks", "2025-01-01-preview", {})


def test_what_the_sdk_sends_as_a_number_is_let_through() -> None:
    """It always has, and Azure takes it: the one leniency that there is."""
    code = {"properties": {"codeUri": "https://x/y", "properties": {"hash_version": 202208}}}
    assert validate.problems("codes", "2023-04-01-preview", code) == []
    other = spoiled(code, "properties.properties", {"hash": 202208})
    assert [each.path for each in validate.problems("codes", "2023-04-01-preview", other)] == [
        "properties.properties['hash']"
    ]


def test_the_published_model_is_here_with_its_licence() -> None:
    """Without its patterns and least values the cases above would be those of our own rules."""
    place = Path(validate.__file__).parent / "schema"
    found = json.loads((place / "models.json").read_text(encoding="utf-8"))
    assert found["2025-01-01-preview"]["models"]["CommandJob"]["fields"]["command"] == {
        "pattern": "[a-zA-Z0-9_]", "required": True, "shortest": 1, "type": "str",
    }  # fmt: skip
    assert "Microsoft Corporation" in (place / "LICENSE").read_text(encoding="utf-8")
    assert (place / "models.json").stat().st_size < 2**20
