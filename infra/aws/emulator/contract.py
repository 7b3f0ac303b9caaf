"""What SageMaker promises a container: the files that it finds in /opt/ml, and what is taken away.

Facts are of the developer guide: "How Amazon SageMaker AI provides training information", "Build
your own processing container". On this machine /opt/ml is a folder of the job, ``ml``.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from infra.aws.emulator.objects import Objects

_REASON, _MESSAGE = 1024, 1000
"""Characters that are told of a failure, and of a processing job's message."""


class Unavailable(Exception):
    """Input that is not there: the job fails before its container starts."""


class Contract(Protocol):
    """One kind of job, for one request. ``ml`` is the folder of one host, ``at`` its place."""

    def words(self) -> list[str]:
        """The command; empty where that is the image's own."""

    def environment(self) -> dict[str, str]:
        """What is in the environment of the container."""

    def prepare(self, ml: Path, at: int, hosts: list[str]) -> None:
        """Write the configuration and fetch what is read. Raises Unavailable."""

    def sync(self, ml: Path) -> None:
        """Put away what is put away while the container runs."""

    def collect(self, ml: Path, well: bool) -> None:
        """Put away what is left at the end."""

    def reason(self, ml: Path, code: int) -> str:
        """Why it failed."""


class Training:
    """A training job: channels in, a model and output data out, checkpoints both ways."""

    def __init__(self, request: Mapping[str, Any], arn: str, objects: Objects) -> None:
        self._request, self._arn, self._objects = request, arn, objects
        self._name: str = request["TrainingJobName"]
        self._checkpoints: Mapping[str, str] = request.get("CheckpointConfig", {})
        self._known: dict[str, tuple[int, int]] = {}

    def words(self) -> list[str]:
        """As in the request; an image that has none is run with the word train."""
        asked = self._request["AlgorithmSpecification"]
        return [*asked.get("ContainerEntrypoint", []), *asked.get("ContainerArguments", [])]

    def environment(self) -> dict[str, str]:
        """As in the request, and who the job is."""
        who = {"TRAINING_JOB_NAME": self._name, "TRAINING_JOB_ARN": self._arn}
        return {**self._request.get("Environment", {}), **who}

    def model(self) -> str:
        """Where the model lies once the job has ended well."""
        return self._output("model/" if self._plain() else "model.tar.gz")

    def prepare(self, ml: Path, at: int, hosts: list[str]) -> None:
        """See Contract."""
        for name in ("model", "output/data", "checkpoints"):
            (ml / name).mkdir(parents=True, exist_ok=True)
        channels = self._request.get("InputDataConfig", [])
        _write(ml / "input/config", {
            "hyperparameters": self._request.get("HyperParameters", {}),
            "inputdataconfig": {each["ChannelName"]: _channel(each) for each in channels},
            "resourceconfig": self._resources(at, hosts),
            **({"checkpointconfig": self._checkpoints} if self._checkpoints else {}),
        })  # fmt: skip
        for channel in channels:
            source = channel["DataSource"]["S3DataSource"]
            folder = ml / "input/data" / channel["ChannelName"]
            _fetch(self._objects, source, folder, "S3DataDistributionType", at, len(hosts))
        if self._checkpoints:
            self._objects.download(self._checkpoints["S3Uri"], self._local(ml))

    def sync(self, ml: Path) -> None:
        """Checkpoints go to S3 as they come."""
        if self._checkpoints:
            self._objects.upload(self._local(ml), self._checkpoints["S3Uri"], self._known)

    def collect(self, ml: Path, well: bool) -> None:
        """The model and output data; those of a failed job too, as far as they were written."""
        self.sync(ml)
        for folder, packed in (("model", "model"), ("output/data", "output")):
            if not any((ml / folder).iterdir()) and not (well and folder == "model"):
                continue
            if self._plain():
                name = folder.rpartition("/")[2]
                self._objects.upload(ml / folder, self._output(name), {})
                continue
            archive = ml.parent / f"{packed}.tar.gz"
            with tarfile.open(archive, "w:gz") as made:
                for file in sorted((ml / folder).iterdir()):
                    made.add(file, file.name)
            self._objects.put(archive, self._output(archive.name))

    def reason(self, ml: Path, code: int) -> str:
        """What the container wrote to /opt/ml/output/failure, and its exit code."""
        return f"AlgorithmError: {_text(ml / 'output/failure')[:_REASON]}, exit code: {code}"

    def _plain(self) -> bool:
        return bool(self._request["OutputDataConfig"].get("CompressionType") == "NONE")

    def _output(self, name: str) -> str:
        place = self._request["OutputDataConfig"]["S3OutputPath"].rstrip("/")
        return f"{place}/{self._name}/output/{name}"

    def _local(self, ml: Path) -> Path:
        return inside(self._checkpoints.get("LocalPath", "/opt/ml/checkpoints"), ml)

    def _resources(self, at: int, hosts: list[str]) -> dict[str, Any]:
        asked = self._request["ResourceConfig"].get("InstanceType", "")
        group = {"instance_group_name": "homogeneousCluster", "instance_type": asked}
        return {
            "current_host": hosts[at],
            "current_instance_type": asked,
            "current_group_name": "homogeneousCluster",
            "hosts": hosts,
            "instance_groups": [{**group, "hosts": hosts}],
            "network_interface_name": "eth0",
        }


class Processing:
    """A processing job: paths under /opt/ml/processing, in and out."""

    def __init__(self, request: Mapping[str, Any], arn: str, objects: Objects) -> None:
        self._request, self._arn, self._objects = request, arn, objects
        self._outputs = request.get("ProcessingOutputConfig", {}).get("Outputs", [])
        self._known: dict[str, dict[str, tuple[int, int]]] = {}

    def words(self) -> list[str]:
        """As in the request."""
        asked = self._request["AppSpecification"]
        return [*asked.get("ContainerEntrypoint", []), *asked.get("ContainerArguments", [])]

    def environment(self) -> dict[str, str]:
        """As in the request, and who the job is."""
        name, own = self._request["ProcessingJobName"], self._request.get("Environment", {})
        return {**own, "PROCESSING_JOB_NAME": name, "PROCESSING_JOB_ARN": self._arn}

    def prepare(self, ml: Path, at: int, hosts: list[str]) -> None:
        """See Contract."""
        (ml / "output").mkdir(parents=True, exist_ok=True)
        cluster = self._request["ProcessingResources"]["ClusterConfig"]
        _write(ml / "config", {
            "processingjobconfig": {"ProcessingJobArn": self._arn, **self._request},
            "resourceconfig": {
                "current_host": hosts[at], "hosts": hosts,
                "current_instance_type": cluster["InstanceType"],
            },
        })  # fmt: skip
        for each in self._request.get("ProcessingInputs", []):
            source = each["S3Input"]
            folder = inside(source["LocalPath"], ml)
            _fetch(self._objects, source, folder, "S3DataDistributionType", at, len(hosts))
        for each in self._outputs:
            inside(each["S3Output"]["LocalPath"], ml).mkdir(parents=True, exist_ok=True)

    def sync(self, ml: Path) -> None:
        """Outputs that are uploaded as they come."""
        self._upload(ml, "Continuous")

    def collect(self, ml: Path, well: bool) -> None:
        """The other outputs, where it ended well."""
        self.sync(ml)
        if well:
            self._upload(ml, "EndOfJob")

    def reason(self, _ml: Path, code: int) -> str:
        """SageMaker does not look into a processing container; its message is told beside."""
        return f"AlgorithmError: See job logs for more information, exit code: {code}"

    def message(self, ml: Path) -> str:
        """What the container wrote to /opt/ml/output/message."""
        return _text(ml / "output/message")[:_MESSAGE]

    def _upload(self, ml: Path, mode: str) -> None:
        for each in self._outputs:
            output = each["S3Output"]
            if output["S3UploadMode"] == mode:
                known = self._known.setdefault(each["OutputName"], {})
                self._objects.upload(inside(output["LocalPath"], ml), output["S3Uri"], known)


def inside(path: str, ml: Path) -> Path:
    """Where a path in /opt/ml lies on this machine."""
    return ml / path.removeprefix("/opt/ml").lstrip("/")


def _fetch(
    objects: Objects, source: Mapping[str, Any], folder: Path, how: str, at: int, hosts: int
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shard = (at, hosts) if source.get(how) == "ShardedByS3Key" else (0, 1)
    uri = source["S3Uri"]
    if source.get("S3DataType") != "S3Prefix":
        raise Unavailable(f"this rehearsal reads prefixes alone, not a manifest ({uri})")
    if not objects.download(uri, folder, shard) and shard == (0, 1):
        raise Unavailable(
            f'ClientError: Data download failed: No S3 objects found under S3 URL "{uri}" given '
            "in input data source."
        )


def _channel(channel: Mapping[str, Any]) -> dict[str, str]:
    source = channel["DataSource"]["S3DataSource"]
    found = {
        "TrainingInputMode": channel.get("InputMode", "File"),
        "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
        "RecordWrapperType": channel.get("RecordWrapperType", "None"),
    }
    return found | ({"ContentType": channel["ContentType"]} if "ContentType" in channel else {})


def _write(folder: Path, files: Mapping[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace").strip() if file.is_file() else ""
