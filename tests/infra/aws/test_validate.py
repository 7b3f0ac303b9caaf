"""What SageMaker would refuse is refused here, at the path of the fault, before a request is sent.

The cases are written from the API reference; without them a rehearsal would pass what AWS refuses.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.aws import definition
from infra.aws.validate import operations, problems
from infra.cloud.problems import Problem
from tests.infra.aws.bodies import (
    DEFINITION,
    GONE,
    GOOD,
    IMAGE,
    MODEL,
    PACKAGE,
    PIPELINE,
    PROCESSING,
    REAL_TIME,
    SCHEDULE,
    SERVERLESS,
    START,
    TRAINING,
    spoiled,
)

_CHANNEL = TRAINING["InputDataConfig"][0]
_TRAIN, _PROCESS, _CONFIG = "CreateTrainingJob", "CreateProcessingJob", "CreateEndpointConfig"
_STOP, _MACHINE = "StoppingCondition", "ResourceConfig"
_LOCAL = "ProcessingOutputConfig.Outputs[0].S3Output.LocalPath"
_VARIANT, _SOURCE = "ProductionVariants[0]", "InputDataConfig[1].DataSource"

BAD: list[tuple[str, dict[str, Any], str, Any, str]] = [
    # of the model: required, type, enumeration, pattern, length, number, union, unknown
    (_TRAIN, TRAINING, "RoleArn", GONE, "RoleArn"),
    (_TRAIN, TRAINING, "RoleArn", "trefoil-training", "RoleArn"),
    (_TRAIN, TRAINING, "TrainingJobName", "under_scored", "TrainingJobName"),
    (_TRAIN, TRAINING, "TrainingJobName", "x" * 64, "TrainingJobName"),
    (_TRAIN, TRAINING, "TrainingJobName", "ends-with-", "TrainingJobName"),
    (_TRAIN, TRAINING, f"{_MACHINE}.InstanceType", "ml.g5.huge", f"{_MACHINE}.InstanceType"),
    (_TRAIN, TRAINING, f"{_MACHINE}.InstanceType", "g5.xlarge", f"{_MACHINE}.InstanceType"),
    (_TRAIN, TRAINING, f"{_MACHINE}.InstanceCount", "1", f"{_MACHINE}.InstanceCount"),
    (_TRAIN, TRAINING, f"{_MACHINE}.KeepAlivePeriodInSeconds", 30000,
     f"{_MACHINE}.KeepAlivePeriodInSeconds"),
    (_TRAIN, TRAINING, "HyperParameters.lr", 0.001, "HyperParameters['lr']"),
    (_TRAIN, TRAINING, "HyperParameters.lr", "x" * 2501, "HyperParameters['lr']"),
    (_TRAIN, TRAINING, "HyperParameters", {f"p{n}": "1" for n in range(101)}, "HyperParameters"),
    (_TRAIN, TRAINING, "Environment.BIG", "x" * 513, "Environment['BIG']"),
    (_TRAIN, TRAINING, "Environment", {"1ST": "x"}, "Environment['1ST'] (its name)"),
    (_TRAIN, TRAINING, "InputDataConfig", [_CHANNEL] * 21, "InputDataConfig"),
    (_TRAIN, TRAINING, "InputDataConfig[1].ChannelName", "data set",
     "InputDataConfig[1].ChannelName"),
    (_TRAIN, TRAINING, f"{_SOURCE}.S3DataSource.S3DataType", "Prefix",
     f"{_SOURCE}.S3DataSource.S3DataType"),
    (_TRAIN, TRAINING, "OutputDataConfig.CompressionType", "ZSTD",
     "OutputDataConfig.CompressionType"),
    (_TRAIN, TRAINING, "AlgorithmSpecification.ContainerEntrypoint", ["x" * 257],
     "AlgorithmSpecification.ContainerEntrypoint[0]"),
    (_TRAIN, TRAINING, "AlgorithmSpecification.ContainerEntrypoint", ["python3", "-c", "a\nb"],
     "AlgorithmSpecification.ContainerEntrypoint[2]"),
    (_TRAIN, TRAINING, "RetryStrategy.MaximumRetryAttempts", 31,
     "RetryStrategy.MaximumRetryAttempts"),
    (_TRAIN, TRAINING, "Tags", [{"Key": f"t{n}", "Value": ""} for n in range(51)], "Tags"),
    (_TRAIN, TRAINING, "EnableManagedSpotTraining", "yes", "EnableManagedSpotTraining"),
    (_TRAIN, TRAINING, "UseSpotInstances", True, "UseSpotInstances"),
    (_TRAIN, TRAINING, "VpcConfig", {"Subnets": ["subnet-1"]}, "VpcConfig.SecurityGroupIds"),
    (_PROCESS, PROCESSING, "Environment.BIG", "x" * 257, "Environment['BIG']"),
    (_PROCESS, PROCESSING, "ProcessingInputs", PROCESSING["ProcessingInputs"] * 11,
     "ProcessingInputs"),
    (_CONFIG, SERVERLESS, f"{_VARIANT}.ServerlessConfig.MemorySizeInMB", 8192,
     f"{_VARIANT}.ServerlessConfig.MemorySizeInMB"),
    ("CreateModelPackage", PACKAGE, "ModelApprovalStatus", "Pending", "ModelApprovalStatus"),
    ("CreatePipeline", PIPELINE, "ClientRequestToken", "short", "ClientRequestToken"),
    # of the reference: one of, at least, beside each other
    (_TRAIN, TRAINING, f"{_STOP}.MaxWaitTimeInSeconds", GONE, f"{_STOP}.MaxWaitTimeInSeconds"),
    (_TRAIN, TRAINING, f"{_STOP}.MaxWaitTimeInSeconds", 60, f"{_STOP}.MaxWaitTimeInSeconds"),
    (_TRAIN, TRAINING, "EnableManagedSpotTraining", False, f"{_STOP}.MaxWaitTimeInSeconds"),
    (_TRAIN, TRAINING, "AlgorithmSpecification.TrainingImage", GONE, "AlgorithmSpecification"),
    (_TRAIN, TRAINING, "AlgorithmSpecification.AlgorithmName", "mine", "AlgorithmSpecification"),
    (_TRAIN, TRAINING, "AlgorithmSpecification.TrainingImage", "an image",
     "AlgorithmSpecification.TrainingImage"),
    (_TRAIN, TRAINING, f"{_MACHINE}.InstanceCount", 0, f"{_MACHINE}.InstanceCount"),
    (_TRAIN, TRAINING, f"{_MACHINE}.VolumeSizeInGB", 0, f"{_MACHINE}.VolumeSizeInGB"),
    (_TRAIN, TRAINING, f"{_MACHINE}.InstanceType", GONE, _MACHINE),
    (_TRAIN, TRAINING, f"{_MACHINE}.KeepAlivePeriodInSeconds", 600,
     f"{_MACHINE}.KeepAlivePeriodInSeconds"),
    (_TRAIN, TRAINING, "InputDataConfig", [_CHANNEL, _CHANNEL], "InputDataConfig[1].ChannelName"),
    (_TRAIN, TRAINING, f"{_SOURCE}.S3DataSource", GONE, _SOURCE),
    (_TRAIN, TRAINING, f"{_SOURCE}.S3DataSource.S3Uri", "https://bucket/x",
     f"{_SOURCE}.S3DataSource.S3Uri"),
    (_TRAIN, TRAINING, "OutputDataConfig.S3OutputPath", "s3://Bucket/x",
     "OutputDataConfig.S3OutputPath"),
    (_TRAIN, TRAINING, "Tags[0].Key", "aws:run", "Tags[0].Key"),
    (_PROCESS, PROCESSING, "ProcessingResources.ClusterConfig.InstanceCount", 0,
     "ProcessingResources.ClusterConfig.InstanceCount"),
    (_PROCESS, PROCESSING, _LOCAL, "/data/out", _LOCAL),
    (_PROCESS, PROCESSING, _LOCAL, "/opt/ml/processing/trefoil/out",
     "ProcessingInputs[0].S3Input.LocalPath"),
    (_PROCESS, PROCESSING, "ProcessingInputs", PROCESSING["ProcessingInputs"] * 2,
     "ProcessingInputs[1].InputName"),
    (_PROCESS, PROCESSING, "ProcessingInputs[0].S3Input", GONE, "ProcessingInputs[0]"),
    (_PROCESS, PROCESSING, "AppSpecification.ImageUri", "trainer:a:b", "AppSpecification.ImageUri"),
    (_CONFIG, SERVERLESS, f"{_VARIANT}.ServerlessConfig.MemorySizeInMB", 1500,
     f"{_VARIANT}.ServerlessConfig.MemorySizeInMB"),
    (_CONFIG, SERVERLESS, f"{_VARIANT}.InstanceType", "ml.m5.large", _VARIANT),
    (_CONFIG, SERVERLESS, "AsyncInferenceConfig", {"OutputConfig": {"S3OutputPath": "s3://b/o"}},
     "AsyncInferenceConfig"),
    (_CONFIG, REAL_TIME, f"{_VARIANT}.InitialInstanceCount", GONE,
     f"{_VARIANT}.InitialInstanceCount"),
    (_CONFIG, REAL_TIME, "ProductionVariants[1].VariantName", "v1",
     "ProductionVariants[1].VariantName"),
    ("CreateModel", MODEL, "PrimaryContainer", GONE, "PrimaryContainer"),
    ("CreateModel", MODEL, "PrimaryContainer.ModelDataUrl", "s3://bucket/m.tar.gz",
     "PrimaryContainer"),
    ("CreateModelPackage", PACKAGE, "ModelPackageGroupName", GONE, "ModelPackageGroupName"),
    ("CreateMonitoringSchedule", SCHEDULE,
     "MonitoringScheduleConfig.ScheduleConfig.ScheduleExpression", "0 * * * *",
     "MonitoringScheduleConfig.ScheduleConfig.ScheduleExpression"),
    ("StartPipelineExecution", START, "PipelineParameters", START["PipelineParameters"] * 2,
     "PipelineParameters[1].Name"),
    ("CreatePipeline", PIPELINE, "PipelineDefinition", GONE, "PipelineDefinition"),
    ("CreatePipeline", PIPELINE, "PipelineDefinition", "{not json", "PipelineDefinition"),
]  # fmt: skip

_GATE = "Steps[3].Arguments"
BAD_DEFINITIONS: list[tuple[str, Any, str]] = [
    ("Version", "2019-01-01", "Version"),
    ("Steps", [], "Steps"),
    ("Parameters[0].Type", "Text", "Parameters[0].Type"),
    ("Steps[0].Name", "pre pare", "Steps[0].Name"),
    ("Steps[1].Name", "prepare", "Steps[1].Name"),
    ("Steps[0].Type", "Bake", "Steps[0].Type"),
    ("Steps[0].Arguments", GONE, "Steps[0].Arguments"),
    ("Steps[1].DependsOn", ["nobody"], "Steps[1].DependsOn"),
    ("Steps[0].DependsOn", ["evaluate"], "Steps"),
    ("Steps[1].Arguments.ResourceConfig.InstanceType", "ml.big",
     "Steps[1].Arguments.ResourceConfig.InstanceType"),
    ("Steps[1].Arguments.StoppingCondition.MaxWaitTimeInSeconds", 1,
     "Steps[1].Arguments.StoppingCondition.MaxWaitTimeInSeconds"),
    ("Steps[0].Arguments.Environment.BIG", "x" * 600, "Steps[0].Arguments.Environment['BIG']"),
    ("Steps[1].Arguments.HyperParameters.steps", {"Get": "Parameters.stepz"},
     "Steps[1].Arguments.HyperParameters.steps"),
    ("Steps[1].Arguments.HyperParameters.steps", {"Get": "Steps.nobody.ModelArtifacts"},
     "Steps[1].Arguments.HyperParameters.steps"),
    (f"{_GATE}.Conditions", [], f"{_GATE}.Conditions"),
    (f"{_GATE}.Conditions[0].Type", "Is", f"{_GATE}.Conditions[0].Type"),
    (f"{_GATE}.Conditions[0].RightValue", GONE, f"{_GATE}.Conditions[0].RightValue"),
    ("Steps[2].PropertyFiles", [], f"{_GATE}.Conditions[0].LeftValue"),
    (f"{_GATE}.IfSteps[0].Arguments.ModelApprovalStatus", "Maybe",
     f"{_GATE}.IfSteps[0].Arguments.ModelApprovalStatus"),
    (f"{_GATE}.ElseSteps[0].Arguments", {}, f"{_GATE}.ElseSteps[0].Arguments.ErrorMessage"),
]  # fmt: skip


@pytest.mark.parametrize("operation", GOOD)
def test_what_sagemaker_takes_is_let_through(operation: str) -> None:
    """A validator that refuses too much is switched off by the first who meets it."""
    for body in GOOD[operation]:
        assert problems(operation, body) == []


@pytest.mark.parametrize(
    ("operation", "body", "path", "value", "where"),
    BAD,
    ids=[f"{at}-{case[2]}" for at, case in enumerate(BAD)],
)
def test_a_bad_request_is_refused_at_the_fault(
    operation: str, body: dict[str, Any], path: str, value: Any, where: str
) -> None:
    found = problems(operation, spoiled(body, path, value))
    assert where in [each.path for each in found], found
    assert len(found) <= 10, "one fault is not told as many"


@pytest.mark.parametrize(
    ("path", "value", "where"),
    BAD_DEFINITIONS,
    ids=[f"{at}-{case[0]}" for at, case in enumerate(BAD_DEFINITIONS)],
)
def test_a_bad_definition_is_refused_at_the_fault(path: str, value: Any, where: str) -> None:
    """To botocore it is one string: nothing of it is checked before AWS does."""
    text = json.dumps(spoiled(DEFINITION, path, value))
    found = problems("CreatePipeline", {**PIPELINE, "PipelineDefinition": text})
    assert where in [each.path for each in found], found


def test_values_known_only_in_the_run_are_passed_over() -> None:
    """Else no pipeline that hands anything on could be validated."""
    step = spoiled(DEFINITION, "Steps[1].Arguments.ResourceConfig.InstanceType",
                   {"Get": "Parameters.steps"})  # fmt: skip
    assert list(definition.check(step)) == []
    assert problems("CreateTrainingJob", spoiled(TRAINING, "RoleArn", {"Get": "Parameters.role"}))


def test_a_problem_reads_as_a_sentence() -> None:
    (found,) = problems("CreateTrainingJob", spoiled(TRAINING, "ResourceConfig.InstanceCount", 0))
    assert str(found) == "ResourceConfig.InstanceCount is 0; it takes 1"
    assert str(Problem("", "has 2 of a, b")) == "the request has 2 of a, b"


def test_a_secret_of_any_length_is_not_told_whole() -> None:
    """Problems go to logs; a value is shown to be recognised, not to be kept."""
    (found,) = problems("CreateTrainingJob", spoiled(TRAINING, "RoleArn", "s3cr3t" * 100))
    assert len(str(found)) < 200


def test_operations_are_sagemakers_own() -> None:
    assert {"CreateTrainingJob", "CreatePipeline", "DescribeEndpoint"} <= set(operations())
    with pytest.raises(KeyError):
        problems("CreateTrainJob", {})


@pytest.mark.parametrize(
    "image",
    [IMAGE, "trefoil-trainer", "trefoil-trainer:0123", "localhost:5000/a/b:tag",
     "public.ecr.aws/docker/library/python:3.11-slim"],
)  # fmt: skip
def test_images_of_every_usual_spelling_are_taken(image: str) -> None:
    body = spoiled(TRAINING, "AlgorithmSpecification.TrainingImage", image)
    assert problems("CreateTrainingJob", body) == []
