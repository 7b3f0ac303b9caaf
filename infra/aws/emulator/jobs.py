"""Training and processing jobs: what is asked of them, and what is told."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from infra.aws.emulator.contract import Processing, Training
from infra.aws.emulator.drive import FINAL, Drive
from infra.aws.emulator.refusal import Refused
from infra.aws.emulator.tags import tags_of
from infra.aws.emulator.world import World
from infra.aws.jobs import STEP
from infra.rehearsal.store import Record


class Kind(NamedTuple):
    """What is different between the two kinds of jobs."""

    word: str
    part: str
    group: str
    contract: Callable[..., Any]
    missing: str
    limit: str

    def resources(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Where the request says what machines it wants."""
        found: Mapping[str, Any] = (
            request["ResourceConfig"]
            if self.word == "Training"
            else request["ProcessingResources"]["ClusterConfig"]
        )
        return found


KINDS = {
    "Training": Kind(
        "Training", "training-job", "/aws/sagemaker/TrainingJobs", Training,
        "Requested resource not found.", "for training job usage",
    ),
    "Processing": Kind(
        "Processing", "processing-job", "/aws/sagemaker/ProcessingJobs", Processing,
        "Could not find requested job with name: {}", "for processing job usage",
    ),
}  # fmt: skip


class Jobs:
    """All jobs of both kinds. What is under way goes on when the stand-in is started again."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._drives: dict[tuple[str, str], Drive] = {}
        self._closed = False

    def operations(self) -> dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]]:
        """The operations there are, by name."""
        verbs = {
            "Create{}Job": self.create,
            "Describe{}Job": self._told,
            "Stop{}Job": self._stop,
            "List{}Jobs": self._list,
        }
        return {
            verb.format(kind.word): functools.partial(does, kind)
            for kind in KINDS.values()
            for verb, does in verbs.items()
        }

    def create(self, kind: Kind, request: Mapping[str, Any], step: str = "") -> dict[str, Any]:
        """Begin a job; ``step`` is what it is called in a pipeline. Raises Refused."""
        name, world = request[f"{kind.word}JobName"], self._world
        arn = world.arn(f"{kind.part}/{name.lower()}")
        with world.store.lock:
            if world.store.get(kind.word, name):
                raise Refused(
                    "ResourceInUse",
                    f"{kind.word} job names must be unique within an AWS account and region, and "
                    f"a {kind.word.lower()} job with this name already exists ({arn})",
                )
            world.check_role(request["RoleArn"])
            self._check_limit(kind, request)
            tags = tags_of(request)
            record = world.store.add(
                kind.word, name, arn, request=dict(request), step=step or tags.get(STEP, name),
                status="InProgress", secondary="Starting", transitions=[], attempts=[], reason="",
                message="", started=0.0, ended=0.0, seconds=0.0, hindered=0, tags=tags,
            )  # fmt: skip
        self._start(kind, record)
        return {f"{kind.word}JobArn": arn}

    def resume(self) -> None:
        """Go on with what was under way when the stand-in ended."""
        for kind in KINDS.values():
            for record in self._world.store.of(kind.word):
                if record["status"] not in FINAL:
                    self._start(kind, record)

    def wait(self, kind: Kind, name: str) -> Record:
        """Wait for a job's end; a job that is halted with the stand-in has none."""
        if drive := self._drives.get((kind.word, name)):
            drive.join()
        return self._found(kind, name)

    def stop(self, kind: Kind, name: str) -> None:
        """Ask a job to end; safe to repeat."""
        if drive := self._drives.get((kind.word, name)):
            drive.stop()
            return
        record = self._found(kind, name)
        if record["status"] not in FINAL:  # a rehearsal that was killed left it
            record["status"] = "Stopping"
            self._start(kind, record)
            self.wait(kind, name)

    def close(self) -> None:
        """Halt what is under way, and wait for that."""
        with self._world.store.lock:
            self._closed = True
        for drive in self._drives.values():
            drive.halt()
        for drive in self._drives.values():
            drive.join()

    def _start(self, kind: Kind, record: Record) -> None:
        contract = kind.contract(record["request"], record["arn"], self._world.objects)
        asked = kind.resources(record["request"])
        count = int(asked.get("InstanceCount") or 1)
        drive = Drive(self._world, kind.word, record, contract, count)
        with self._world.store.lock:
            if self._closed:
                return  # it begins when the stand-in does
            self._drives[kind.word, record["name"]] = drive
        threading.Thread(target=drive.run, daemon=True).start()

    def _check_limit(self, kind: Kind, request: Mapping[str, Any]) -> None:
        asked = kind.resources(request)
        machine, count = asked.get("InstanceType", ""), int(asked.get("InstanceCount") or 1)
        used = sum(
            int(kind.resources(each["request"]).get("InstanceCount") or 1)
            for each in self._world.store.of(kind.word)
            if each["status"] not in FINAL
            and kind.resources(each["request"]).get("InstanceType") == machine
        )
        self._world.check_limit(machine, kind.limit, used, count)

    def _found(self, kind: Kind, name: str) -> Record:
        record = self._world.store.get(kind.word, name)
        if record is None:
            raise Refused("ValidationException", kind.missing.format(name))
        return record

    def _stop(self, kind: Kind, request: Mapping[str, Any]) -> dict[str, Any]:
        name = request[f"{kind.word}JobName"]
        self._found(kind, name)
        self.stop(kind, name)
        return {}

    def _told(self, kind: Kind, request: Mapping[str, Any]) -> dict[str, Any]:
        record = self._found(kind, request[f"{kind.word}JobName"])
        return described(kind, record, self._world)

    def _list(self, kind: Kind, request: Mapping[str, Any]) -> dict[str, Any]:
        summaries = [_summary(kind, each) for each in self._wanted(kind, request)]
        return self._world.page(summaries, request, f"{kind.word}JobSummaries")

    def _wanted(self, kind: Kind, request: Mapping[str, Any]) -> Iterator[Record]:
        for each in self._world.store.of(kind.word):
            if request.get("NameContains", "") not in each["name"]:
                continue
            if request.get("StatusEquals", each["status"]) == each["status"]:
                yield each


def described(kind: Kind, record: Record, world: World) -> dict[str, Any]:
    """A job as Describe returns it."""
    request = {name: value for name, value in record["request"].items() if name != "Tags"}
    found: dict[str, Any] = {
        **request,
        f"{kind.word}JobArn": record["arn"],
        f"{kind.word}JobStatus": record["status"],
        "CreationTime": record["created"],
        "LastModifiedTime": record["modified"],
        **({f"{kind.word}StartTime": record["started"]} if record["started"] else {}),
        **({f"{kind.word}EndTime": record["ended"]} if record["ended"] else {}),
        **({"FailureReason": record["reason"]} if record["reason"] else {}),
        **({"ExitMessage": record["message"]} if record["message"] else {}),
    }
    if kind.word == "Training":
        contract = Training(record["request"], record["arn"], world.objects)
        found["ModelArtifacts"] = {"S3ModelArtifacts": contract.model()}
        found["SecondaryStatus"] = record["secondary"]
        found["SecondaryStatusTransitions"] = record["transitions"]
        if record["ended"]:
            seconds = round(record["seconds"])
            found |= {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": seconds}
    return found


def _summary(kind: Kind, record: Record) -> dict[str, Any]:
    return {
        f"{kind.word}JobName": record["name"],
        f"{kind.word}JobArn": record["arn"],
        f"{kind.word}JobStatus": record["status"],
        "CreationTime": record["created"],
        "LastModifiedTime": record["modified"],
        **({f"{kind.word}EndTime": record["ended"]} if record["ended"] else {}),
    }
