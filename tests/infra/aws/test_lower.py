"""A plan as SageMaker's requests: pure, the same every time, and nothing that it would refuse."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.aws.names import named
from infra.errors import SettingsError, UnsupportedError
from infra.plan import Constant, FirstOf, Imported, Json, Output, Plan
from tests.conformance.cases import CASES
from tests.infra.aws.lowering import (
    GOLDEN,
    SETTINGS,
    generative,
    lowered,
    plan_of,
    steps_of,
    wrong,
)

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The IR of every conformance plan."""
    folder = tmp_path_factory.mktemp("plans")
    subprocess.run(
        [sys.executable, "-m", "tests.conformance.plans", folder], cwd=ROOT, check=True,
        capture_output=True,
    )  # fmt: skip
    return folder


def conformance(folder: Path, name: str, tmp_path: Path) -> Plan:
    from pipelines import compile

    case = next(case for case in CASES if case.name == name)
    given: dict[str, Json] = dict(case.given)
    if case.files:
        given["uri"] = "s3://example-bucket/outside/c.txt"
    return case.change(
        plan_of(compile.load(str(folder / f"{case.pipeline}.yaml"), tmp_path), **given)
    )


def test_our_pipeline_becomes_the_golden_request() -> None:
    """What is sent to a cloud changes only when somebody means it to.

    After a change that is meant: python -m tests.infra.aws.test_lower
    """
    golden = json.loads((GOLDEN / "generative.aws.json").read_text(encoding="utf-8"))
    assert shown() == golden


def shown() -> Any:
    """The request without the launcher's text, which has tests of its own, nor digests of it."""
    body: Any = lowered(generative()).body
    text = json.dumps(body | {"files": {}})
    told = {key: json.loads(each) for key, each in body["files"].items() if key.endswith(".json")}
    files = {}
    for key, step in told.items():
        folder, name = key.removesuffix("/step.json"), f"trefoil/launch/{step['step']}"
        text = text.replace(folder, name)
        files[f"{name}/step.json"] = step
    return json.loads(text) | {"files": files}


def test_sagemaker_would_refuse_nothing_of_it() -> None:
    assert wrong(lowered(generative())) == []


@pytest.mark.parametrize("name", [case.name for case in CASES])
def test_no_plan_becomes_a_request_that_sagemaker_refuses(
    compiled: Path, name: str, tmp_path: Path
) -> None:
    assert wrong(lowered(conformance(compiled, name, tmp_path))) == []


def test_the_same_plan_is_the_same_bytes_in_another_process() -> None:
    """Names and keys are made of it: a repeated submit must find the first."""
    script = (
        "import json; from tests.infra.aws.lowering import *; "
        "print(json.dumps(lowered(generative()).body))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(found) == 1


def test_lowering_loads_no_sdk() -> None:
    script = (
        "import sys; from tests.infra.aws.lowering import lowered, generative; "
        "before = set(sys.modules); import infra.aws.lower; lowered(generative()); "
        "print([m for m in sys.modules if m.split('.')[0] in ('boto3', 'botocore', 'regex')])"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert run.stdout.strip() == "[]"


def test_jobs_are_of_the_kind_that_can_do_it() -> None:
    found = {name: step["Type"] for name, step in steps_of(lowered(generative())).items()}
    assert found == {
        "champion": "Processing", "prepare": "Processing", "train": "Training",
        "evaluate": "Processing", "condition-1": "Condition", "register": "Processing",
        "deploy": "Processing",
    }  # fmt: skip


def test_a_training_job_on_spot_machines_waits_saves_itself_and_is_tried_again() -> None:
    plan = generative()
    train = plan.step("train")
    asked = train.resources._replace(spot=True, accelerators=1, accelerator="A10G")
    steps = tuple(
        step._replace(resources=asked, timeout=600.0) if step is train else step
        for step in plan.steps
    )
    settings = SETTINGS._replace(instance_type="ml.g5.xlarge")
    request = lowered(plan._replace(steps=steps), settings)
    assert wrong(request) == []
    job = steps_of(request)["train"]["Arguments"]
    assert job["EnableManagedSpotTraining"] is True
    assert job["StoppingCondition"] == {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 1200}
    assert job["CheckpointConfig"]["S3Uri"].endswith("/checkpoints/generative-1/train")


def test_a_plan_of_one_step_is_one_job() -> None:
    plan = generative()
    alone = plan._replace(steps=(plan.step("prepare"),))
    body: Any = lowered(alone).body
    assert body["job"]["operation"] == "CreateProcessingJob"
    assert body["job"]["request"]["ProcessingJobName"] == "generative-1-prepare"
    assert "pipeline" not in body


def test_the_exit_handler_is_a_job_that_is_told_how_it_ended() -> None:
    body: Any = lowered(generative()).body
    (after,) = body["after"]
    inputs = {each["InputName"]: each["S3Input"] for each in after["request"]["ProcessingInputs"]}
    assert inputs["trefoil-status"]["S3Uri"].endswith("/runs/generative-1/report/trefoil-status")
    assert after["request"]["ProcessingJobName"] == "generative-1-report"


def test_settings_of_the_account_reach_every_job() -> None:
    settings = SETTINGS._replace(
        kms_key="alias/trefoil",
        subnets=("subnet-0a1b2c3d",),
        security_groups=("sg-0a1b2c3d",),
        tags={"team": "models"},
        overrides={"CreateTrainingJob": {"EnableNetworkIsolation": True}},
        volume_gb=80,
    )
    request = lowered(generative(), settings)
    assert wrong(request) == []
    steps = steps_of(request)
    train, prepare = steps["train"]["Arguments"], steps["prepare"]["Arguments"]
    assert train["EnableNetworkIsolation"] is True
    assert train["ResourceConfig"]["VolumeKmsKeyId"] == "alias/trefoil"
    assert prepare["ProcessingOutputConfig"]["KmsKeyId"] == "alias/trefoil"
    assert prepare["NetworkConfig"]["VpcConfig"]["Subnets"] == ["subnet-0a1b2c3d"]
    assert {"Key": "team", "Value": "models"} in train["Tags"]
    assert prepare["ProcessingResources"]["ClusterConfig"]["VolumeSizeInGB"] == 80


def test_what_an_account_must_tell_is_asked_for_at_once() -> None:
    with pytest.raises(SettingsError, match="needs the settings bucket, training_role_arn: set"):
        lowered(generative(), SETTINGS._replace(bucket="", training_role_arn=""))


def _with(plan: Plan, step: str, **change: Any) -> Plan:
    steps = tuple(each._replace(**change) if each.name == step else each for each in plan.steps)
    return plan._replace(steps=steps)


def _inputs(plan: Plan, step: str, **inputs: Any) -> Plan:
    return _with(plan, step, inputs={**plan.step(step).inputs, **inputs})


REFUSED = [
    (
        lambda plan: _inputs(
            plan, "evaluate",
            model=FirstOf((Output("train", "model"), Output("champion", "champion"))),
        ),
        "step evaluate takes model from whichever branch ran",
    ),
    (
        lambda plan: _inputs(plan, "train", dataset=Imported(Constant("gs://b/x"))),
        "step train imports gs://b/x, and aws reads s3:// addresses alone",
    ),
    (
        lambda plan: _inputs(plan, "train", dataset=Imported(Output("prepare", "where"))),
        "step train imports dataset from an address that only the run knows",
    ),
    (
        lambda plan: _inputs(
            plan, "evaluate",
            **{f"more{n}": Imported(Constant(f"s3://bucket/{n}")) for n in range(9)},
        ),
        "step evaluate takes 13 inputs of a processing job",
    ),
    (
        lambda plan: _with(
            plan, "prepare", artifacts={f"out{n}": "system.Artifact" for n in range(10)}
        ),
        "step prepare takes 11 outputs of a processing job",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("change", "sentence"), REFUSED, ids=[words for _, words in REFUSED])
def test_what_sagemaker_cannot_do_is_refused_by_a_sentence(change: Any, sentence: str) -> None:
    with pytest.raises(UnsupportedError, match=sentence):
        lowered(change(generative()))


def test_a_condition_on_a_training_job_is_refused() -> None:
    plan = generative()
    judge = plan.step("evaluate")
    trains = _with(plan, "evaluate", resources=judge.resources._replace(spot=True))
    with pytest.raises(UnsupportedError, match="condition on evaluate, a training job"):
        lowered(trains)


def test_names_are_sagemakers_and_keep_apart_what_is_apart() -> None:
    assert named("generative-1", "train") == "generative-1-train"
    long = {named("run", "x" * 80 + end) for end in "ab"}
    assert len(long) == 2
    assert all(len(name) <= 63 for name in long)
    assert named("a_b") != named("a-b")


def test_notes_say_what_it_costs_and_which_image_cannot_be_pulled() -> None:
    """Both would else be found out from a bill, or from a job that waits for its image."""
    plan = generative()
    (cost,) = lowered(plan).notes
    assert cost.startswith("costs at most $")
    assert "prices of us-east-1, not of eu-west-1 as of 20" in cost
    first, _ = lowered(plan, SETTINGS._replace(images={"trefoil-trainer": "python:3.11"})).notes
    assert first.startswith("the image python:3.11 is not in ECR")


if __name__ == "__main__":
    text = json.dumps(shown(), indent=2, sort_keys=True)
    (GOLDEN / "generative.aws.json").write_text(f"{text}\n", encoding="utf-8")
