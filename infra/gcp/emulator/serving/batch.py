"""Batch predictions: every line of the files in a bucket is an instance, and so is the answer."""

from __future__ import annotations

import fnmatch
import json
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from infra.gcp.emulator.objects import parts
from infra.gcp.emulator.operations import Halted, Operations
from infra.gcp.emulator.refusal import Refused
from infra.gcp.emulator.serving.models import Models
from infra.gcp.emulator.serving.runtime import read
from infra.gcp.emulator.serving.server import Place, Started, started
from infra.gcp.emulator.world import Record, World, moment

KIND = "BatchPredictionJob"
_PREFIX = "aiplatform.projects.locations.batchPredictionJobs"
_AT_ONCE = 64
"""Instances of one request: Vertex AI's own default."""
_SECONDS = 600.0
_OVER = frozenset({f"JOB_STATE_{each}" for each in ("SUCCEEDED", "FAILED", "CANCELLED")})


class Batch:
    """All batch prediction jobs of a project."""

    def __init__(self, world: World, operations: Operations, models: Models) -> None:
        self._world, self._operations, self._models = world, operations, models
        self._threads: list[threading.Thread] = []
        self._halt = threading.Event()
        operations.add("DeleteBatchPredictionJob", self._deleted, "")

    def operations(self) -> dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]]:
        """The operations there are, by the IDs of the description."""
        return {
            f"{_PREFIX}.create": self._create,
            f"{_PREFIX}.get": lambda request: self._told(self._find(request["name"])),
            f"{_PREFIX}.list": self._list,
            f"{_PREFIX}.cancel": self._cancel,
            f"{_PREFIX}.delete": self._delete,
        }

    def resume(self) -> None:
        """Do anew what was under way."""
        for record in self._world.store.of(KIND):
            if record["state"] not in _OVER:
                self._start(record)

    def close(self) -> None:
        """Halt what is under way."""
        self._halt.set()
        for thread in self._threads:
            thread.join()

    def _create(self, request: Mapping[str, Any]) -> dict[str, Any]:
        body = request["body"]
        if "model" not in body:
            raise Refused("UNIMPLEMENTED", "this rehearsal predicts by a model of the registry")
        if body["inputConfig"]["instancesFormat"] != "jsonl":
            raise Refused("UNIMPLEMENTED", "this rehearsal reads instances of jsonl alone")
        self._world.check_account(body.get("serviceAccount", ""))
        number = str(time.time_ns())
        record = self._world.store.add(
            KIND, number, self._world.name(f"batchPredictionJobs/{number}"), body=body,
            version=self._models.find(body["model"])["name"], state="JOB_STATE_PENDING",
            outcome={},
        )  # fmt: skip
        self._start(record)
        return self._told(record)

    def _list(self, request: Mapping[str, Any]) -> dict[str, Any]:
        found = [self._told(each) for each in self._world.store.of(KIND)]
        return self._world.page(found, request, "batchPredictionJobs")

    def _cancel(self, request: Mapping[str, Any]) -> dict[str, Any]:
        record = self._find(request["name"])
        with self._world.store.lock:
            if record["state"] not in _OVER:
                self._become(record, "CANCELLED")
        return {}

    def _delete(self, request: Mapping[str, Any]) -> dict[str, Any]:
        record = self._find(request["name"])
        if record["state"] not in _OVER:
            raise Refused("FAILED_PRECONDITION", f"{record['arn']} goes on; cancel it first.")
        about = {"name": record["name"]}
        return self._operations.begin("DeleteBatchPredictionJob", "", about)

    def _deleted(self, about: Mapping[str, Any], _halt: threading.Event) -> dict[str, Any]:
        with self._world.store.lock:
            if self._world.store.get(KIND, about["name"]):
                self._world.store.remove(KIND, about["name"])
        return {}

    def _find(self, name: str) -> Record:
        found = self._world.store.get(KIND, name.rpartition("/")[2])
        if found is None:
            raise Refused("NOT_FOUND", f"The BatchPredictionJob does not exist: {name}.")
        return found

    def _start(self, record: Record) -> None:
        thread = threading.Thread(target=self._run, args=(record,), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _run(self, record: Record) -> None:
        """From PENDING to the end."""
        try:
            self._served(record)
        except Halted:
            return
        except Refused as refused:
            self._become(record, "FAILED", error=refused.rpc())
        except Exception as error:  # ours: a job whose thread died would run for ever
            traceback.print_exc()
            words = f"the rehearsal itself failed: {type(error).__name__}: {error}"
            self._become(record, "FAILED", error=Refused("INTERNAL", words).rpc())

    def _served(self, record: Record) -> None:
        """The same with its server. Raises Refused, Halted."""
        version = self._models.find(f"models/{record['version']}")
        folder = self._world.folder / "batch" / record["name"] / f"i-{time.time_ns():017x}"
        place = Place("0", record["name"], _machine(record))
        server = started(self._world, folder, version, place, self._halt)
        try:
            self._become(record, "RUNNING")
            found = self._predicted(record, server, version)
            if record["state"] not in _OVER:
                self._become(record, "SUCCEEDED", **found)
        finally:
            server.stop()

    def _predicted(self, record: Record, server: Started, version: Record) -> dict[str, Any]:
        """What the job tells of its output. Raises Refused where there is nothing to predict."""
        body = record["body"]
        lines = [*self._lines(body["inputConfig"]["gcsSource"]["uris"])]
        if not lines:
            raise Refused("INVALID_ARGUMENT", "There are no instances in the input files.")
        prefix = body["outputConfig"]["gcsDestination"]["outputUriPrefix"].rstrip("/")
        name = f"prediction-{version['body']['displayName']}-{moment(record['created'])}"
        place = f"{prefix}/{name.replace(':', '_')}"
        good: list[Any] = []
        all_instances, bad = _read(lines)
        for at in range(0, len(all_instances), _AT_ONCE):
            if self._halt.is_set():
                raise Halted
            if record["state"] in _OVER:
                return {}
            instances = all_instances[at : at + _AT_ONCE]
            try:
                asked = {"instances": instances, **_parameters(body)}
                kind = {"Content-Type": "application/json"}
                found = read(server.predict(json.dumps(asked).encode(), kind, _SECONDS))
                good += pairs(instances, found["predictions"])
            except Refused as refused:
                bad += [{"instance": each, "error": refused.rpc()} for each in instances]
        for kind_of, rows in (("predictions", good), ("errors", bad)):
            if rows:
                text = "".join(f"{json.dumps(row)}\n" for row in rows)
                self._world.objects.write(f"{place}/{kind_of}_0001.jsonl", text.encode())
        stats = {"successfulCount": str(len(good)), "failedCount": str(len(bad))}
        return {"outputInfo": {"gcsOutputDirectory": place}, "completionStats": stats}

    def _lines(self, uris: list[str]) -> Iterator[bytes]:
        for uri in uris:
            bucket, pattern = parts(uri)
            for key in self._world.objects.keys(bucket, pattern.partition("*")[0]):
                if fnmatch.fnmatchcase(key, pattern):
                    content = self._world.objects.read(f"gs://{bucket}/{key}") or b""
                    yield from (line for line in content.splitlines() if line.strip())

    def _become(self, record: Record, state: str, **outcome: Any) -> None:
        with self._world.store.lock:
            record["state"] = f"JOB_STATE_{state}"
            record["outcome"] = {**record["outcome"], **outcome}
            if record["state"] in _OVER:
                record["outcome"]["endTime"] = moment(time.time())
            elif state == "RUNNING":
                record["outcome"]["startTime"] = moment(time.time())
            self._world.store.save(KIND, record)

    def _told(self, record: Record) -> dict[str, Any]:
        return {
            **record["body"],
            **record["outcome"],
            "name": record["arn"],
            "state": record["state"],
            "modelVersionId": record["version"].rpartition("@")[2],
            "createTime": moment(record["created"]),
            "updateTime": moment(record["modified"]),
        }


def _read(lines: list[bytes]) -> tuple[list[Any], list[Any]]:
    """The instances, and those lines that are none, as they are told."""
    good, bad = [], []
    for line in lines:
        try:
            good.append(json.loads(line))
        except ValueError as error:
            refused = Refused("INVALID_ARGUMENT", f"The line is not JSON: {error}")
            bad.append({"instance": line.decode("utf-8", "replace"), "error": refused.rpc()})
    return good, bad


def pairs(instances: list[Any], predictions: list[Any]) -> list[Any]:
    """Each instance with its prediction. Raises Refused where they are not as many."""
    if len(instances) != len(predictions):
        words = f"The model gave {len(predictions)} predictions for {len(instances)} instances."
        raise Refused("FAILED_PRECONDITION", words)
    return [
        {"instance": one, "prediction": two}
        for one, two in zip(instances, predictions, strict=True)
    ]


def _machine(record: Record) -> Mapping[str, Any]:
    found: Mapping[str, Any] = record["body"].get("dedicatedResources", {}).get("machineSpec", {})
    return found


def _parameters(body: Mapping[str, Any]) -> dict[str, Any]:
    return {"parameters": body["modelParameters"]} if "modelParameters" in body else {}
