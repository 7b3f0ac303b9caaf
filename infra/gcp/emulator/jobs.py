"""CustomJobs: what is asked of them, and what is told."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from infra.gcp.emulator.drive import FINAL, KIND, Drive
from infra.gcp.emulator.refusal import Refused
from infra.gcp.emulator.vertex import PREFIX, Operation
from infra.gcp.emulator.world import Record, World, moment

Request = Mapping[str, Any]


class Jobs:
    """All of them. What is under way goes on when the stand-in is started again."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._drives: dict[str, Drive] = {}
        self._closed = False

    def operations(self) -> dict[str, Operation]:
        """The operations there are, by their IDs."""
        does: dict[str, Operation] = {
            "create": self._create, "get": self._get, "list": self._list,
            "cancel": self._cancel, "delete": self._delete,
        }  # fmt: skip
        return {f"{PREFIX}customJobs.{verb}": operation for verb, operation in does.items()}

    def resume(self) -> None:
        """Go on with what was under way when the stand-in ended."""
        for record in self._world.store.of(KIND):
            if record["state"] not in FINAL:
                self._start(record)

    def close(self) -> None:
        """Halt what is under way, and wait for that."""
        with self._world.store.lock:
            self._closed = True
        for drive in self._drives.values():
            drive.halt()
        for drive in self._drives.values():
            drive.join()

    def logs(self, job: str) -> Iterator[tuple[str, Path, float]]:
        """Each log of a job: its name, its file, and when it began, oldest first."""
        record = self._world.store.get(KIND, job)
        for attempt in record["attempts"] if record else ():
            for file in attempt["logs"]:
                place = self._world.folder / file
                yield place.parent.name, place, attempt["began"]

    def _create(self, request: Request) -> dict[str, Any]:
        body, world = dict(request["body"]), self._world
        with world.store.lock:
            world.check_account(body["jobSpec"].get("serviceAccount", ""))
            self._check_quota(body["jobSpec"])
            identity = str(10**18 + secrets.randbelow(8 * 10**18))
            record = world.store.add(
                KIND, identity, world.name(f"customJobs/{identity}"), body=body,
                state="JOB_STATE_QUEUED", attempts=[], error={}, started=0.0, ended=0.0,
                seconds=0.0,
            )  # fmt: skip
        self._start(record)
        return told(record)

    def _get(self, request: Request) -> dict[str, Any]:
        return told(self._found(request["name"]))

    def _list(self, request: Request) -> dict[str, Any]:
        found = [told(each) for each in self._world.store.of(KIND)]
        return self._world.page(found, request, "customJobs")

    def _cancel(self, request: Request) -> dict[str, Any]:
        record = self._found(request["name"])
        if drive := self._drives.get(record["name"]):
            drive.stop()
        elif record["state"] not in FINAL:  # a rehearsal that was killed left it
            record["state"] = "JOB_STATE_CANCELLING"
            self._start(record)
            self._drives[record["name"]].join()
        return {}

    def _delete(self, request: Request) -> dict[str, Any]:
        record = self._found(request["name"])
        if record["state"] not in FINAL:
            raise Refused("FAILED_PRECONDITION", f"{record['arn']} is not in a final state.")
        self._world.store.remove(KIND, record["name"])
        return {"name": self._world.name(f"operations/{record['name']}"), "done": True}

    def _start(self, record: Record) -> None:
        drive = Drive(self._world, record)
        with self._world.store.lock:
            if self._closed:
                return  # it begins when the stand-in does
            self._drives[record["name"]] = drive
        threading.Thread(target=drive.run, daemon=True).start()

    def _check_quota(self, spec: Request) -> None:
        wanted = _machines(spec)
        going = [each for each in self._world.store.of(KIND) if each["state"] not in FINAL]
        for machine, count in wanted.items():
            used = sum(_machines(each["body"]["jobSpec"]).get(machine, 0) for each in going)
            self._world.check_quota(machine, used, count)

    def _found(self, name: str) -> Record:
        record = self._world.store.get(KIND, name.rpartition("/")[2])
        if record is None:
            raise Refused("NOT_FOUND", f"CustomJob does not exist: {name}")
        return record


def told(record: Record) -> dict[str, Any]:
    """A job as it is returned."""
    times = {"startTime": record["started"], "endTime": record["ended"]}
    return {
        **record["body"],
        "name": record["arn"],
        "state": record["state"],
        "createTime": moment(record["created"]),
        "updateTime": moment(record["modified"]),
        **{name: moment(at) for name, at in times.items() if at},
        **({"error": record["error"]} if record["error"] else {}),
    }


def _machines(spec: Request) -> dict[str, int]:
    found: dict[str, int] = {}
    for pool in spec["workerPoolSpecs"]:
        machine = pool.get("machineSpec", {}).get("machineType", "")
        found[machine] = found.get(machine, 0) + int(pool.get("replicaCount") or 0)
    return found
