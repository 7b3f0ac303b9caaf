"""Run history, the workspace's own service: how runs stand, and where their logs lie."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from infra.azure.emulator.jobs import Jobs
from infra.azure.emulator.refusal import Refused
from infra.azure.emulator.world import World, when
from infra.rehearsal.server import Answer, Call, answer
from infra.rehearsal.store import Record

_RUN = re.compile(r"/history/v1\.0(?P<scope>/subscriptions/.*?/workspaces/[^/]+)/runs/"
                  r"(?P<run>[^/]+)(?:/(?P<verb>details|children))?")  # fmt: skip
_PAGE = 100
LOGS = "azureml"
"""The container of what jobs write beside their outputs."""


class History:
    """Answers for one workspace."""

    def __init__(self, world: World, jobs: Jobs, signature: str) -> None:
        """``signature`` is that of the links that it gives out to logs."""
        self._world, self._jobs, self._signature = world, jobs, signature
        world.blobs.make(LOGS)

    def answer(self, call: Call) -> Answer:
        """What a call is answered. Raises Refused."""
        front = f"https://{self._world.scope.region}.api.azureml.ms"
        if call.path == "/discovery":
            return answer(dict.fromkeys(("api", "history", "experimentation"), front))
        match = _RUN.fullmatch(call.path)
        if match is None or call.method != "GET":
            raise Refused(404, "UserError", f"this rehearsal does not know {call.path}")
        if match["scope"].lower() != self._world.scope.path.lower():
            raise Refused(404, "UserError", f"Workspace {match['scope']} was not found")
        record = self._world.store.get("jobs", match["run"])
        if record is None:
            raise Refused(404, "UserError", f"Run {match['run']} was not found")
        if match["verb"] == "children":
            return answer(self._children(record, call))
        return answer(self._details(record) if match["verb"] else self._told(record))

    def _children(self, record: Record, call: Call) -> dict[str, Any]:
        """One page of them; a link leads to the next."""
        jobs = self._world.store.of("jobs")
        found = [self._told(each) for each in jobs if each["parent"] == record["name"]]
        begin = int(call.query.get("$continuationtoken", ["0"])[0])
        page: dict[str, Any] = {"value": found[begin : begin + _PAGE]}
        if begin + _PAGE < len(found):
            front = f"https://{self._world.scope.region}.api.azureml.ms{call.path}"
            page["nextLink"] = f"{front}?$continuationtoken={begin + _PAGE}"
        return page

    def _told(self, record: Record) -> dict[str, Any]:
        properties = record["properties"]
        root = record["parent"] or record["name"]
        return {
            "runId": record["name"], "parentRunId": record["parent"] or None, "rootRunId": root,
            "status": record["status"], "displayName": properties.get("displayName") or "",
            "createdUtc": when(record["created"]), **_times(record), **_error(record),
            "tags": properties.get("tags") or {},
            "properties": {"azureml.runsource": "azureml.StepRun"} if record["parent"] else {},
            "experimentId": properties.get("experimentName") or "", "hidden": False,
        }  # fmt: skip

    def _details(self, record: Record) -> dict[str, Any]:
        return {
            "runId": record["name"], "parentRunId": record["parent"] or None,
            "status": record["status"], **_times(record), **_error(record),
            "tags": record["properties"].get("tags") or {}, "properties": {},
            "logFiles": self._logs(record),
        }  # fmt: skip

    def _logs(self, record: Record) -> dict[str, str]:
        """Links to what the newest attempt printed; that of one before is overwritten."""
        if not record["attempts"]:
            return {}
        found, logs = {}, record["attempts"][-1]
        host = f"https://{self._world.scope.account}.blob.core.windows.net"
        for at, log in enumerate(logs):
            file = self._world.folder / log
            name = f"std_log_process_{at}.txt" if len(logs) > 1 else "std_log.txt"
            blob = f"ExperimentRun/dcid.{record['name']}/user_logs/{name}"
            content = file.read_bytes() if file.is_file() else b""
            before = self._world.blobs.find(LOGS, blob)
            if before is None or content != self._world.blobs.read(LOGS, blob):
                self._world.blobs.write(LOGS, blob, content, kind="text/plain")
            found[f"user_logs/{name}"] = (
                f"{host}/{LOGS}/{quote(blob)}?sv=2021-08-06&sr=b&sig={self._signature}&sp=r"
            )
        return found


def _times(record: Record) -> dict[str, str]:
    found = {"startTimeUtc": record["started"], "endTimeUtc": record["ended"]}
    return {name: when(moment) for name, moment in found.items() if moment}


def _error(record: Record) -> dict[str, Any]:
    error = record["error"]
    if not error:
        return {}
    kind = {"UserError": "UserError"}.get(error["code"], "ServiceError")
    return {"error": {"error": {
        "code": kind, "message": error["message"], "messageFormat": "{Message}",
        "innerError": {"code": error["code"]}, "details": [],
    }, "time": when(record["ended"]), "componentName": "executor"}}  # fmt: skip
