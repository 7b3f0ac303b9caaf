"""What the tests of the stand-in for AWS share: a cloud, and jobs that are a little script."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3

from infra.aws.emulator.cloud import Account, Cloud, standing

REGION, NUMBER, BUCKET = "eu-central-1", "123456789012", "models-of-a-rehearsal"
ROLE = f"arn:aws:iam::{NUMBER}:role/trefoil-training"
ACCOUNT = Account(NUMBER, REGION, frozenset({ROLE}), BUCKET)
IMAGE = f"{NUMBER}.dkr.ecr.{REGION}.amazonaws.com/trefoil-trainer:1"
ENDED = ("Completed", "Failed", "Stopped", "Succeeded", "InService")


@contextmanager
def cloud(folder: Path, looking: bool = False, **scenario: Any) -> Iterator[Cloud]:
    """AWS while the block runs."""
    with standing(ACCOUNT, folder, {"grace": 5, **scenario}, looking=looking) as found:
        yield found


def client(service: str = "sagemaker") -> Any:
    """boto3's, led by its environment alone; it asks once."""
    from botocore.config import Config

    config = Config(retries={"total_max_attempts": 1})
    return boto3.session.Session().client(service, region_name=REGION, config=config)


def uri(*parts: str) -> str:
    return "/".join((f"s3://{BUCKET}", *parts))


def put(key: str, content: bytes) -> None:
    client("s3").put_object(Bucket=BUCKET, Key=key, Body=content)


def objects() -> dict[str, bytes]:
    """Everything in the bucket, but the scripts."""
    s3 = client("s3")
    listed = s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
    keys = [each["Key"] for each in listed if not each["Key"].startswith("code/")]
    return {key: s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys}


PRELUDE = "import os, pathlib\nml = pathlib.Path(os.environ.get('TREFOIL_OPT_ML', '/opt/ml'))\n"
"""Where a script finds /opt/ml. A command is too short for one, so that it comes by a channel."""


def training(name: str, code: str, **more: Any) -> dict[str, Any]:
    """A CreateTrainingJob whose container runs a script, which is put to S3."""
    put(f"code/{name}/main.py", f"{PRELUDE}{code}".encode())
    channels = [channel("code", uri("code", name)), *more.pop("InputDataConfig", [])]
    return {
        "TrainingJobName": name,
        "RoleArn": ROLE,
        "AlgorithmSpecification": {
            "TrainingImage": IMAGE,
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["python3", "-u", "/opt/ml/input/data/code/main.py"],
        },
        "InputDataConfig": channels,
        "OutputDataConfig": {"S3OutputPath": uri("out"), "CompressionType": "NONE"},
        "ResourceConfig": {
            "InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        **more,
    }  # fmt: skip


def spot(name: str, code: str, **more: Any) -> dict[str, Any]:
    """The same on a spot machine, with checkpoints."""
    return training(
        name, code, EnableManagedSpotTraining=True,
        CheckpointConfig={"S3Uri": uri("checkpoints", name)},
        StoppingCondition={"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 1200}, **more,
    )  # fmt: skip


def processing(name: str, code: str, **more: Any) -> dict[str, Any]:
    """A CreateProcessingJob whose container runs a script, which is put to S3."""
    put(f"code/{name}/main.py", f"{PRELUDE}{code}".encode())
    inputs = [source("code", uri("code", name)), *more.pop("ProcessingInputs", [])]
    command = ["python3", "-u", "/opt/ml/processing/input/code/main.py"]
    return {
        "ProcessingJobName": name,
        "RoleArn": ROLE,
        "AppSpecification": {"ImageUri": IMAGE, "ContainerEntrypoint": command},
        "ProcessingInputs": inputs,
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10
            }
        },
        **more,
    }  # fmt: skip


def channel(name: str, place: str) -> dict[str, Any]:
    """An input of a training job."""
    source = {"S3DataType": "S3Prefix", "S3Uri": place}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}


def source(name: str, place: str) -> dict[str, Any]:
    """An input of a processing job."""
    return {
        "InputName": name,
        "S3Input": {
            "S3Uri": place, "LocalPath": f"/opt/ml/processing/input/{name}",
            "S3DataType": "S3Prefix", "S3InputMode": "File",
        },
    }  # fmt: skip


def sink(name: str, place: str, mode: str = "EndOfJob") -> dict[str, Any]:
    """An output of a processing job."""
    path = f"/opt/ml/processing/output/{name}"
    output = {"S3Uri": place, "LocalPath": path, "S3UploadMode": mode}
    return {"OutputName": name, "S3Output": output}


def until(look: Callable[[], dict[str, Any]], key: str, wanted: tuple[Any, ...] = ENDED) -> Any:
    """Look until the state is one of those wanted; pytest's own limit ends what never does."""
    while (found := look())[key] not in wanted:
        time.sleep(0.05)
    return found


def trained(request: dict[str, Any]) -> dict[str, Any]:
    """Run a training job to its end."""
    sagemaker, name = client(), request["TrainingJobName"]
    sagemaker.create_training_job(**request)
    found: dict[str, Any] = until(
        lambda: sagemaker.describe_training_job(TrainingJobName=name), "TrainingJobStatus"
    )
    return found


def processed(request: dict[str, Any]) -> dict[str, Any]:
    """Run a processing job to its end."""
    sagemaker, name = client(), request["ProcessingJobName"]
    sagemaker.create_processing_job(**request)
    found: dict[str, Any] = until(
        lambda: sagemaker.describe_processing_job(ProcessingJobName=name), "ProcessingJobStatus"
    )
    return found


def seen(found: dict[str, Any]) -> list[str]:
    """The secondary statuses that a training job went through."""
    return [each["Status"] for each in found["SecondaryStatusTransitions"]]


def logged(name: str, kind: str = "Training") -> list[str]:
    """What a job printed, stream after stream."""
    logs = client("logs")
    group = f"/aws/sagemaker/{kind}Jobs"
    streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=name)
    found = []
    for each in streams["logStreams"]:
        events = logs.get_log_events(
            logGroupName=group, logStreamName=each["logStreamName"], startFromHead=True
        )
        found += [event["message"] for event in events["events"]]
    return found
