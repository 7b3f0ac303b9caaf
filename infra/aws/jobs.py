"""A step as the request for a job, without the name of the job. Pure.

A step that asks for accelerators, spot machines or several nodes, or that makes a model of other
artefacts, is a training job: only these have checkpoints and spot. All others are processing jobs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

from infra.aws import AwsSettings
from infra.cloud.overrides import over
from infra.cloud.stepfile import CHANNEL, VALUES, StepFile
from infra.errors import UnsupportedError
from infra.plan import Step

Request: TypeAlias = dict[str, Any]

RUN, STEP = "trefoil:run", "trefoil:step"
"""The tags by which everything of a run is found again, and what it is."""
_TRAINING_INPUTS, _PROCESSING_INPUTS, _PROCESSING_OUTPUTS = 20, 10, 10
_WORK = "/opt/ml/processing"
_MODEL = "system.Model"


class Place(NamedTuple):
    """Where a run lies in S3, and what its jobs are marked with.

    ``digest`` is the plan's, ``commit`` that of our code, empty where it is not known.
    """

    settings: AwsSettings
    run_id: str
    digest: str
    commit: str

    def uri(self, *names: str) -> str:
        """A folder of the run."""
        return self._under("runs", self.run_id, *names)

    def shared(self, key: str) -> str:
        """A folder that runs share, its name its content's digest."""
        return self._under(key)

    def checkpoints(self, step: str) -> str:
        """Where a step of this run, and no other, saves itself."""
        return self._under("checkpoints", self.run_id, step)

    def key(self, name: str) -> str:
        """The key in the bucket of what lies under ``shared``."""
        return f"{self.settings.prefix.strip('/')}/{name}"

    def role(self, step: Step) -> str:
        """What the step may do."""
        return self.settings.step_roles.get(step.name, self.settings.training_role_arn)

    def tags(self, step: str = "") -> list[dict[str, str]]:
        """By which everything of a run is found again."""
        own = {RUN: self.run_id, "trefoil:plan": self.digest, STEP: step,
               "trefoil:commit": self.commit}  # fmt: skip
        known = {name: value for name, value in own.items() if value} | dict(self.settings.tags)
        return [{"Key": key, "Value": value} for key, value in known.items()]

    def _under(self, *names: str) -> str:
        return "/".join((f"s3://{self.settings.bucket}", self.settings.prefix.strip("/"), *names))


def is_training(step: Step) -> bool:
    """Whether the step is a training job."""
    asked = step.resources
    if asked.spot or asked.accelerators or asked.nodes > 1:
        return True
    reads = any(token.kind == "input_path" for argument in step.argv for token in argument)
    return reads and _MODEL in step.artifacts.values()


def training(step: Step, image: str, machine: str, file: StepFile, place: Place) -> Request:
    """CreateTrainingJob for a step, but for TrainingJobName. Raises UnsupportedError."""
    settings, asked = place.settings, step.resources
    channels = {CHANNEL: place.shared(file.key), **dict(file.channels)}
    _require(len(channels), _TRAINING_INPUTS, step, "inputs of a training job")
    resources: Request = {
        "InstanceType": machine,
        "InstanceCount": asked.nodes,
        "VolumeSizeInGB": settings.volume_gb,
    }
    if settings.keep_alive and not asked.spot:
        resources["KeepAlivePeriodInSeconds"] = settings.keep_alive
    output: Request = {"S3OutputPath": place.uri(step.name), "CompressionType": "NONE"}
    if settings.kms_key:
        resources["VolumeKmsKeyId"] = output["KmsKeyId"] = settings.kms_key
    found: Request = {
        "RoleArn": place.role(step),
        "AlgorithmSpecification": {
            "TrainingImage": image,
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["python3", f"/opt/ml/input/data/{CHANNEL}/launcher.py"],
        },
        "InputDataConfig": [_channel(name, uri) for name, uri in channels.items()],
        "OutputDataConfig": output,
        "ResourceConfig": resources,
        "StoppingCondition": stopping(step, settings),
        "CheckpointConfig": {"S3Uri": place.checkpoints(step.name)},
        "EnableManagedSpotTraining": asked.spot,
        "Tags": place.tags(step.name),
    }
    if settings.subnets:
        found["VpcConfig"] = _network(settings)
    return over(found, settings.overrides.get("CreateTrainingJob", {}))


def processing(step: Step, image: str, machine: str, file: StepFile, place: Place) -> Request:
    """CreateProcessingJob for a step, but for ProcessingJobName. Raises UnsupportedError."""
    settings = place.settings
    channels = {CHANNEL: place.shared(file.key), **dict(file.channels)}
    outputs = [VALUES, *step.artifacts]
    _require(len(channels), _PROCESSING_INPUTS, step, "inputs of a processing job")
    _require(len(outputs), _PROCESSING_OUTPUTS, step, "outputs of a processing job")
    cluster: Request = {
        "InstanceType": machine,
        "InstanceCount": 1,
        "VolumeSizeInGB": settings.volume_gb,
    }
    config: Request = {"Outputs": [_output(name, place.uri(step.name, name)) for name in outputs]}
    if settings.kms_key:
        cluster["VolumeKmsKeyId"] = config["KmsKeyId"] = settings.kms_key
    found: Request = {
        "RoleArn": place.role(step),
        "AppSpecification": {
            "ImageUri": image,
            "ContainerEntrypoint": ["python3", f"{_WORK}/input/{CHANNEL}/launcher.py"],
        },
        "ProcessingResources": {"ClusterConfig": cluster},
        "ProcessingInputs": [_input(name, uri) for name, uri in channels.items()],
        "ProcessingOutputConfig": config,
        "StoppingCondition": stopping(step, settings),
        "Tags": place.tags(step.name),
    }
    if settings.subnets:
        found["NetworkConfig"] = {"VpcConfig": _network(settings)}
    return over(found, settings.overrides.get("CreateProcessingJob", {}))


def stopping(step: Step, settings: AwsSettings) -> Request:
    """How long a job may run, and on spot machines wait and run."""
    longest = int(step.timeout or settings.max_runtime)
    found: Request = {"MaxRuntimeInSeconds": longest}
    if step.resources.spot:
        found["MaxWaitTimeInSeconds"] = int(longest * settings.spot_wait)
    return found


def notes(step: Step, settings: AwsSettings) -> Iterator[str]:
    """What has no effect in this place."""
    for platform in step.platforms:
        yield f"step {step.name}: its settings of {platform} have no effect here"
    if settings.keep_alive and step.resources.spot:
        yield f"step {step.name}: spot machines are not kept warm; keep_alive has no effect"


def _channel(name: str, uri: Any) -> Request:
    source = {
        "S3DataType": "S3Prefix",
        "S3Uri": uri,
        "S3DataDistributionType": "FullyReplicated",
    }
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}


def _input(name: str, uri: Any) -> Request:
    source = {
        "S3Uri": uri,
        "LocalPath": f"{_WORK}/input/{name}",
        "S3DataType": "S3Prefix",
        "S3InputMode": "File",
    }
    return {"InputName": name, "S3Input": source}


def _output(name: str, uri: str) -> Request:
    store = {"S3Uri": uri, "LocalPath": f"{_WORK}/output/{name}", "S3UploadMode": "EndOfJob"}
    return {"OutputName": name, "S3Output": store}


def _network(settings: AwsSettings) -> Request:
    return {"Subnets": list(settings.subnets), "SecurityGroupIds": list(settings.security_groups)}


def _require(count: int, most: int, step: Step, what: str) -> None:
    if count > most:
        raise UnsupportedError(
            f"step {step.name} takes {count} {what}, the launcher's own among them, and aws "
            f"has {most}; put several artefacts into one"
        )
