"""Jobs: put once under their name, looked at, listed, cancelled. Pipelines are in pipelines.py."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any

from infra.azure.emulator.check import check
from infra.azure.emulator.contract import Spec, of_command
from infra.azure.emulator.drive import FINAL, Drive
from infra.azure.emulator.mounts import Unavailable
from infra.azure.emulator.pipelines import Pipeline
from infra.azure.emulator.refusal import Refused
from infra.azure.emulator.routing import Asked, Route
from infra.azure.emulator.world import World, now
from infra.rehearsal.server import Answer, answer
from infra.rehearsal.store import Record

_NEVER_CHANGES = ("jobType", "jobs", "command", "environmentId", "inputs", "outputs", "computeId",
                  "resources", "settings")  # fmt: skip
_PAGE = 50


class Jobs:
    """All jobs of one workspace."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._drives: dict[str, Drive | Pipeline] = {}
        self._closed = False

    def routes(self) -> list[Route]:
        """What is asked of them."""
        return [
            Route("PUT", "jobs/([^/]+)", self._put),
            Route("GET", "jobs/([^/]+)", self._get),
            Route("GET", "jobs", self._list),
            Route("POST", "jobs/([^/]+)/cancel", self._cancel),
            Route("DELETE", "jobs/([^/]+)", self._delete),
        ]

    def resume(self) -> None:
        """Go on with what was under way when the stand-in ended."""
        for record in self._world.store.of("jobs"):
            if record["status"] not in FINAL and not record["parent"]:
                self._start(record)

    def close(self) -> None:
        """Halt what is under way, and wait for that."""
        with self._world.store.lock:
            self._closed = True
        for drive in list(self._drives.values()):
            drive.halt()
        for drive in list(self._drives.values()):
            drive.join()

    def child(self, parent: Record, step: str, spec: Spec) -> Drive | None:
        """A job of a pipeline for one of its nodes; None where the stand-in ends."""
        name = next(
            (each["name"] for each in self._world.store.of("jobs")
             if each["parent"] == parent["name"] and each["step"] == step), "",
        )  # fmt: skip
        record = self._world.store.get("jobs", name) if name else None
        if record is None:
            node = parent["properties"]["jobs"][step]
            properties = {
                "jobType": "Command", "displayName": node.get("display_name") or step,
                "tags": node.get("tags") or {},
                "experimentName": parent["properties"].get("experimentName"),
            }  # fmt: skip
            name = f"{parent['name'][:40]}_{step}_{len(self._world.store.of('jobs')):04}"
            record = self.add(name, properties, step, parent["name"])
        drive: Drive | None = self._begin(record, Drive(self._world, record, spec))
        return drive

    def add(self, name: str, properties: Mapping[str, Any], step: str, parent: str) -> Record:
        """A new job, of which nothing has begun yet."""
        return self._world.store.add(
            "jobs", name, self._world.id(f"jobs/{name}"), properties=dict(properties), step=step,
            parent=parent, status="NotStarted", attempts=[], error=None, started=0.0, ended=0.0,
            seconds=0.0, hindered=0,
        )  # fmt: skip

    def stop(self, name: str) -> None:
        """Ask a job to end; safe to repeat."""
        record = self._found(name)
        if record["status"] in FINAL:
            return
        if name not in self._drives:  # a rehearsal that was killed left it
            record["status"] = "CancelRequested"
            self._start(record)
        if drive := self._drives.get(name):
            drive.stop()

    # --- what is asked

    def _put(self, asked: Asked) -> Answer:
        name, body = asked.names[0], asked.body()
        check("jobs", asked.version, body)
        properties, store = body["properties"], self._world.store
        pipeline = properties["jobType"] == "Pipeline"
        if pipeline and not asked.call.header("x-azureml-token"):
            raise Refused(400, "UserError", "A pipeline needs the header x-azureml-token.")
        with store.lock:
            before = store.get("jobs", name)
            if before:
                _require_same(name, before["properties"], properties)
                return answer(self.told(before))
            self._require_known(properties, pipeline)
            step = (properties.get("tags") or {}).get("trefoil.step") or name
            record = self.add(name, properties, step, "")
        self._start(record)
        return answer(self.told(record), 201)

    def _get(self, asked: Asked) -> Answer:
        return answer(self.told(self._found(asked.names[0])))

    def _list(self, asked: Asked) -> Answer:
        tag, kind = asked.query("tag"), asked.query("jobType")
        found = [
            self.told(each)
            for each in self._world.store.of("jobs")[::-1]
            if not each["parent"]
            and (not kind or each["properties"]["jobType"] == kind)
            and (not tag or _tagged(each, tag))
        ]
        begin = int(asked.query("$skip") or 0)
        page: dict[str, Any] = {"value": found[begin : begin + _PAGE]}
        if begin + _PAGE < len(found):
            front = f"https://management.azure.com{self._world.id('jobs')}"
            more = f"&tag={tag}" if tag else ""
            after = f"api-version={asked.version}&$skip={begin + _PAGE}{more}"
            page["nextLink"] = f"{front}?{after}"
        return answer(page)

    def _cancel(self, asked: Asked) -> Answer:
        record = self._found(asked.names[0])
        if record["status"] in FINAL:
            words = f"The job {record['name']} is already in terminal state {record['status']}."
            raise Refused(400, "UserError", words)
        self.stop(record["name"])
        operation = self._world.operations.begin()
        self._world.operations.end(operation)
        return self._world.operations.accepted(operation, asked)

    def _delete(self, asked: Asked) -> Answer:
        record = self._found(asked.names[0])
        if record["status"] not in FINAL:
            raise Refused(400, "UserError", f"The job {record['name']} goes on; cancel it first.")
        for each in self._world.store.of("jobs"):
            if record["name"] in (each["name"], each["parent"]):
                self._world.store.remove("jobs", each["name"])
        operation = self._world.operations.begin()
        self._world.operations.end(operation)
        return self._world.operations.accepted(operation, asked)

    def told(self, record: Record) -> dict[str, Any]:
        """A job as ARM returns it."""
        properties = {"services": {}, **record["properties"], "status": record["status"]}
        return self._world.resource(record, "jobs", properties)

    # --- inside

    def _start(self, record: Record) -> None:
        properties = record["properties"]
        if properties["jobType"] == "Pipeline":
            self._begin(record, Pipeline(self._world, record, self.child))
            return
        try:
            spec = of_command(self._world, properties)._replace(step=record["step"])
        except Unavailable as error:
            record |= {"status": "Failed", "ended": now(),
                       "error": {"code": "UserError", "message": str(error)}}  # fmt: skip
            self._world.store.save("jobs", record)
            return
        self._begin(record, Drive(self._world, record, spec))

    def _begin(self, record: Record, drive: Any) -> Any:
        with self._world.store.lock:
            if self._closed:
                return None  # it begins when the stand-in does
            self._drives[record["name"]] = drive
        threading.Thread(target=drive.run, daemon=True).start()
        return drive

    def _require_known(self, properties: Mapping[str, Any], pipeline: bool) -> None:
        """Raise Refused where a job names clusters or environments that there are not."""
        nodes = properties["jobs"].values() if pipeline else [properties]
        for node in nodes:
            for cluster in _clusters(node):
                if cluster not in ("serverless", "", *self._world.scope.clusters):
                    words = f"The compute target '{cluster}' was not found in the workspace."
                    raise Refused(400, "UserError", words)
            client = (node.get("identity") or {}).get("clientId" if not pipeline else "client_id")
            known = self._world.scope.identities
            if client and client not in known:
                words = f"The managed identity {client} is not assigned to this workspace."
                raise Refused(400, "UserError", words)

    def _found(self, name: str) -> Record:
        record = self._world.store.get("jobs", name)
        if record is None:
            raise Refused(404, "UserError", f"Run {name} was not found")
        return record


def _clusters(node: Mapping[str, Any]) -> Iterator[str]:
    if identity := node.get("computeId"):
        yield str(identity).rpartition("/")[2]


def _tagged(record: Record, tag: str) -> bool:
    name, _, value = tag.partition("=")
    tags: Mapping[str, str] = record["properties"].get("tags") or {}
    return name in tags and (not value or tags[name] == value)


def _require_same(name: str, before: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """A job is never changed: raise Refused where another is put under its name."""
    for each in _NEVER_CHANGES:
        if before.get(each) != wanted.get(each):
            raise Refused(
                400, "UserError",
                f"A job with this name already exists. The property {each} of job {name} is "
                "immutable and cannot be changed.",
            )  # fmt: skip
