"""AWS's own SDK as a second opinion: its objects must make the pipeline that we send.

The pipeline is written by hand with sagemaker's classes, as its guide has it. What differs, and why
that is meant, is taken out in ``_normal``, and nothing else.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.plan import Plan
from tests.infra.aws.lowering import SETTINGS, generative, lowered

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
"""The SDK's own, of which there are many."""

IMAGE = f"{SETTINGS.registry}/trefoil-trainer:{SETTINGS.image_tag}"
ROLE = SETTINGS.training_role_arn
RUNS, LAUNCH = "s3://example-bucket/trefoil/runs/generative-1", "s3://example-bucket/trefoil/launch"
DAY = 86400
SPOT_DAYS = 2 * DAY
KEY = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A session that sends nothing, and reports nothing; its role is there."""
    pytest.importorskip("sagemaker", reason="the extra sagemaker is not installed")
    import boto3
    from moto import mock_aws

    defaults = tmp_path / "config.yaml"
    defaults.write_text(
        "SchemaVersion: '1.0'\nSageMaker: {PythonSDK: {Modules: {TelemetryOptOut: true}}}\n"
    )
    monkeypatch.setenv("SAGEMAKER_USER_CONFIG_OVERRIDE", str(defaults))
    monkeypatch.setenv("SAGEMAKER_VALIDATE_ROLE", "false")  # its rights are tested with terraform
    monkeypatch.setenv("AWS_DEFAULT_REGION", SETTINGS.region)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "made-up")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "made-up")
    with mock_aws():
        boto = boto3.Session(region_name=SETTINGS.region)
        trust = json.dumps({"Version": "2012-10-17", "Statement": []})
        boto.client("iam").create_role(RoleName="trefoil-training", AssumeRolePolicyDocument=trust)
        from sagemaker.core.workflow.pipeline_context import PipelineSession

        yield PipelineSession(boto_session=boto, default_bucket="example-bucket")


def test_the_sdk_makes_the_same_pipeline(session: Any) -> None:
    """A field that we misread in the reference would be found at the first paid run."""
    plan = _on_spot()
    body: Any = lowered(plan, SETTINGS._replace(kms_key=KEY)).body
    ours = _normal(body["pipeline"]["PipelineDefinition"])
    theirs = _normal(json.loads(_pipeline(session).definition()))
    found = "\n".join(_differences(ours, theirs))
    assert not found, found


def _on_spot() -> Plan:
    plan = generative()
    spot = plan.step("train").resources._replace(spot=True)
    steps = (s._replace(resources=spot) if s.name == "train" else s for s in plan.steps)
    return plan._replace(steps=tuple(steps))


def _pipeline(session: Any) -> Any:
    from sagemaker.core.workflow.conditions import ConditionEquals
    from sagemaker.core.workflow.functions import JsonGet
    from sagemaker.core.workflow.properties import PropertyFile
    from sagemaker.mlops.workflow.condition_step import ConditionStep
    from sagemaker.mlops.workflow.pipeline import Pipeline
    from sagemaker.mlops.workflow.steps import ProcessingStep

    values = PropertyFile(name="values", output_name="trefoil", path="values.json")

    def processing(name: str, inputs: dict[str, Any], outputs: list[str], **own: Any) -> Any:
        arguments = _processing(session, name, inputs, outputs)
        return ProcessingStep(name=name, step_args=arguments, **own)

    train = _train(session)
    model = train.properties.ModelArtifacts.S3ModelArtifacts
    dataset = {"dataset": f"{RUNS}/prepare/dataset"}
    evaluation = {"evaluation": f"{RUNS}/evaluate/evaluation"}
    evaluate = processing(
        "evaluate",
        {"champion": f"{RUNS}/champion/champion", **dataset, "from-train": model},
        ["evaluation"],
        depends_on=["champion", "prepare", "train"],
        property_files=[values],
    )
    register = processing(
        "register",
        {**dataset, **evaluation, "from-train": model},
        [],
        depends_on=["evaluate", "prepare", "train"],
    )
    deploy = processing(
        "deploy",
        {"values-register": f"{RUNS}/register/trefoil", "from-train": model},
        [],
        depends_on=["evaluate", "prepare", "register", "train"],
    )
    passed = JsonGet(step_name="evaluate", property_file=values, json_path="passed")
    gate = ConditionStep(
        name="condition-1",
        conditions=[ConditionEquals(left=passed, right=True)],
        if_steps=[register, deploy],
        else_steps=[],
    )
    steps = [
        processing("champion", {}, ["champion"]),
        processing("prepare", {}, ["dataset"]),
        train,
        evaluate,
        gate,
    ]
    return Pipeline(name="generative-1", steps=steps, sagemaker_session=session)


def _processing(session: Any, name: str, inputs: dict[str, Any], outputs: list[str]) -> Any:
    from sagemaker.core import shapes
    from sagemaker.core.processing import Processor

    work = "/opt/ml/processing"
    processor = Processor(
        role=ROLE,
        image_uri=IMAGE,
        entrypoint=["python3", f"{work}/input/trefoil/launcher.py"],
        instance_count=1,
        instance_type="ml.m5.large",
        volume_size_in_gb=30,
        volume_kms_key=KEY,
        output_kms_key=KEY,
        max_runtime_in_seconds=DAY,
        tags=_tags(name),
        sagemaker_session=session,
    )
    given = {"trefoil": f"{LAUNCH}/{name}", **inputs}
    return processor.run(
        inputs=[
            shapes.ProcessingInput(
                input_name=channel,
                s3_input=shapes.ProcessingS3Input(
                    s3_uri=uri,
                    local_path=f"{work}/input/{channel}",
                    s3_data_type="S3Prefix",
                    s3_input_mode="File",
                ),
            )
            for channel, uri in given.items()
        ],
        outputs=[
            shapes.ProcessingOutput(
                output_name=each,
                s3_output=shapes.ProcessingS3Output(
                    s3_uri=f"{RUNS}/{name}/{each}",
                    local_path=f"{work}/output/{each}",
                    s3_upload_mode="EndOfJob",
                ),
            )
            for each in ["trefoil", *outputs]
        ],
    )


def _train(session: Any) -> Any:
    from sagemaker.mlops.workflow.retry import (
        SageMakerJobExceptionTypeEnum,
        SageMakerJobStepRetryPolicy,
        StepExceptionTypeEnum,
        StepRetryPolicy,
    )
    from sagemaker.mlops.workflow.steps import TrainingStep
    from sagemaker.train import ModelTrainer, configs

    trainer = ModelTrainer(
        training_image=IMAGE,
        role=ROLE,
        sagemaker_session=session,
        base_job_name="train",
        training_input_mode="File",
        compute=configs.Compute(
            instance_type="ml.m5.large",
            instance_count=1,
            volume_size_in_gb=30,
            volume_kms_key_id=KEY,
            enable_managed_spot_training=True,
        ),
        stopping_condition=configs.StoppingCondition(
            max_runtime_in_seconds=DAY, max_wait_time_in_seconds=SPOT_DAYS
        ),
        output_data_config=configs.OutputDataConfig(
            s3_output_path=f"{RUNS}/train", compression_type="NONE", kms_key_id=KEY
        ),
        checkpoint_config=configs.CheckpointConfig(
            s3_uri="s3://example-bucket/trefoil/checkpoints/generative-1/train"
        ),
        input_data_config=[
            configs.InputData(
                channel_name=channel,
                data_source=configs.S3DataSource(
                    s3_data_type="S3Prefix", s3_uri=uri, s3_data_distribution_type="FullyReplicated"
                ),
            )
            for channel, uri in (
                ("trefoil", f"{LAUNCH}/train"),
                ("dataset", f"{RUNS}/prepare/dataset"),
            )
        ],
        tags=[configs.Tag(key=each["Key"], value=each["Value"]) for each in _tags("train")],
    )
    again = {"backoff_rate": 2.0, "interval_seconds": 1, "max_attempts": 2}
    service = [StepExceptionTypeEnum.SERVICE_FAULT, StepExceptionTypeEnum.THROTTLING]
    job = [
        SageMakerJobExceptionTypeEnum.INTERNAL_ERROR,
        SageMakerJobExceptionTypeEnum.CAPACITY_ERROR,
    ]
    return TrainingStep(
        name="train",
        step_args=trainer.train(),
        depends_on=["prepare"],
        retry_policies=[
            StepRetryPolicy(exception_types=service, **again),
            SageMakerJobStepRetryPolicy(exception_types=job, **again),
        ],
    )


def _tags(step: str) -> list[dict[str, str]]:
    return [
        {"Key": "trefoil:run", "Value": "generative-1"},
        {"Key": "trefoil:plan", "Value": _on_spot().digest()},
        {"Key": "trefoil:step", "Value": step},
    ]


def _differences(ours: Any, theirs: Any, path: str = "") -> Iterator[str]:
    """Each field that is not the same, with its path."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(ours.keys() | theirs.keys()):
            yield from _differences(ours.get(key), theirs.get(key), f"{path}.{key}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for number, pair in enumerate(zip(ours, theirs, strict=True)):
            yield from _differences(*pair, f"{path}[{number}]")
    elif ours != theirs:
        yield f"{path}: {ours} != {theirs}"


def _normal(definition: dict[str, Any]) -> dict[str, Any]:
    """Without what is only of one side, and the defaults of the service, which the SDK writes."""
    found = copy.deepcopy(definition)
    for name in ("PipelineExperimentConfig", "Metadata"):  # the SDK's bookkeeping
        found.pop(name, None)
    for step in _all(found["Steps"]):
        arguments = step["Arguments"]
        _without(arguments, HyperParameters={})
        _without(arguments.get("CheckpointConfig", {}), LocalPath="/opt/ml/checkpoints")
        # ModelTrainer has no argument for it.
        arguments.get("AlgorithmSpecification", {}).pop("ContainerEntrypoint", None)
        for each in arguments.get("ProcessingInputs", []):
            defaults = {"S3DataDistributionType": "FullyReplicated", "S3CompressionType": "None"}
            _without(each["S3Input"], **defaults)
            _plain(each["S3Input"])
        for each in arguments.get("InputDataConfig", []):
            _plain(each["DataSource"]["S3DataSource"])
    return found


def _without(data: dict[str, Any], **defaults: Any) -> None:
    for name, value in defaults.items():
        if name in data and data[name] == value:
            del data[name]


def _plain(where: dict[str, Any]) -> None:
    """The address of what launches a step ends in a digest of it."""
    if isinstance(where["S3Uri"], str) and where["S3Uri"].startswith(LAUNCH):
        where["S3Uri"] = LAUNCH


def _all(steps: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for step in steps:
        yield step
        yield from _all(step["Arguments"].get("IfSteps", []))
