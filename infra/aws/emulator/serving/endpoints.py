"""Endpoints: one name that answers, by the variants of the configuration that it was given last."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from infra.aws.emulator.refusal import Refused
from infra.aws.emulator.serving import variants
from infra.aws.emulator.serving.change import CHANGING, change
from infra.aws.emulator.serving.fleet import Fleet, raised
from infra.aws.emulator.serving.resource import CONFIGURATION, ENDPOINT
from infra.aws.emulator.world import World
from infra.local.process import end_orphan
from infra.local.rundir import StepDirectory
from infra.rehearsal.served import ENDED
from infra.rehearsal.store import Record

_HALT = 10.0
"""Seconds that a server of a rehearsal that was killed has to end."""


class Endpoints:
    """All endpoints. What changes goes on when the stand-in is started again."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._fleets: dict[str, Fleet] = {}
        self._threads: list[threading.Thread] = []
        self._halt = threading.Event()
        self._raising = threading.Lock()

    def operations(self) -> dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]]:
        """The operations there are, by name."""
        return {
            "CreateEndpoint": self._create,
            "UpdateEndpoint": self._update,
            "UpdateEndpointWeightsAndCapacities": self._weigh,
            "DescribeEndpoint": self._describe,
            "ListEndpoints": self._list,
            "DeleteEndpoint": self._delete,
        }

    def resume(self) -> None:
        """End what a rehearsal that was killed left running, and go on with what was changing."""
        for alive in (self._world.folder / "endpoints").glob("*/*/*/alive"):
            if end_orphan(StepDirectory(alive.parent), _HALT):
                (alive.parent / ENDED).touch()
        for record in self._world.store.of(ENDPOINT.kind):
            if record["status"] in CHANGING:
                self._change(record)

    def close(self) -> None:
        """Halt what changes, and end the servers."""
        self._halt.set()
        for thread in self._threads:
            thread.join()
        for fleet in self._fleets.values():
            fleet.stop()

    def fleet(self, record: Record) -> Fleet:
        """The servers of an endpoint that serves; started where an earlier rehearsal ended them.

        Raises Unhealthy, Halted.
        """
        with self._raising:
            name = record["name"]
            if name not in self._fleets:
                self._fleets[name] = raised(self._world, name, record["variants"], self._halt)
            return self._fleets[name]

    def _create(self, request: Mapping[str, Any]) -> dict[str, Any]:
        with self._world.store.lock:
            pending = self._asked(request)
            variants.check_limits(self._world, pending["variants"])
            record = ENDPOINT.add(
                self._world, request, status="Creating", reason="", config=pending["config"],
                variants=[], asynchronous=None, pending=pending,
            )  # fmt: skip
        return self._change(record)

    def _update(self, request: Mapping[str, Any]) -> dict[str, Any]:
        with self._world.store.lock:
            record, pending = self._steady(request), self._asked(request)
            variants.retain(pending["variants"], record["variants"], request)
            variants.check_limits(self._world, pending["variants"])
            record.update(status="Updating", pending=pending)
            self._world.store.save(ENDPOINT.kind, record)
        return self._change(record)

    def _weigh(self, request: Mapping[str, Any]) -> dict[str, Any]:
        with self._world.store.lock:
            record = self._steady(request)
            known = {each["name"]: each for each in record["variants"]}
            for each in request["DesiredWeightsAndCapacities"]:
                if each["VariantName"] not in known:
                    raise Refused(
                        "ValidationException",
                        f'The variant name(s) "{each["VariantName"]}" do not exist within the '
                        f'endpoint "{record["arn"]}".',
                    )
            for each in request["DesiredWeightsAndCapacities"]:
                self._desire(known[each["VariantName"]], each)
            record["status"] = "Updating"
            self._world.store.save(ENDPOINT.kind, record)
        return self._change(record)

    def _desire(self, variant: variants.Variant, asked: Mapping[str, Any]) -> None:
        if "DesiredInstanceCount" in asked:
            more = {**variant, "count": asked["DesiredInstanceCount"] - variant["count"]}
            if more["count"] > 0:
                variants.check_limits(self._world, [more])
            variant["desired_count"] = asked["DesiredInstanceCount"]
        variant["desired_weight"] = asked.get("DesiredWeight", variant["desired_weight"])

    def _describe(self, request: Mapping[str, Any]) -> dict[str, Any]:
        with self._world.store.lock:
            record = ENDPOINT.find(self._world, request["EndpointName"])
            found = {**_summary(record), "EndpointConfigName": record["config"]}
            if record["variants"]:
                found["ProductionVariants"] = [*variants.told(record["variants"])]
            if record["reason"]:
                found["FailureReason"] = record["reason"]
            if record["asynchronous"]:
                found["AsyncInferenceConfig"] = record["asynchronous"]
            if record["status"] == "Updating" and record["pending"]:
                found["PendingDeploymentSummary"] = {
                    "EndpointConfigName": record["pending"]["config"],
                    "StartTime": record["modified"],
                }
            return found

    def _list(self, request: Mapping[str, Any]) -> dict[str, Any]:
        found = [
            _summary(each)
            for each in ENDPOINT.wanted(self._world, request)
            if request.get("StatusEquals", each["status"]) == each["status"]
        ]
        return self._world.page(found, request, "Endpoints")

    def _delete(self, request: Mapping[str, Any]) -> dict[str, Any]:
        with self._world.store.lock:
            record = self._still(request)
            record["status"] = "Deleting"
            self._world.store.save(ENDPOINT.kind, record)
        self._change(record)
        return {}

    def _asked(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """What an endpoint shall become. Raises Refused."""
        name = request["EndpointConfigName"]
        config = CONFIGURATION.find(self._world, name)["request"]
        return {
            "config": name,
            "variants": variants.of(self._world, name),
            "asynchronous": config.get("AsyncInferenceConfig"),
        }

    def _still(self, request: Mapping[str, Any]) -> Record:
        """An endpoint that does not change just now. Raises Refused."""
        record = ENDPOINT.find(self._world, request["EndpointName"])
        if record["status"] in CHANGING:
            raise Refused(
                "ValidationException", f'Cannot update in-progress endpoint "{record["arn"]}".'
            )
        return record

    def _steady(self, request: Mapping[str, Any]) -> Record:
        """One that can be updated: a failed one can only be deleted. Raises Refused."""
        record = self._still(request)
        if record["status"] == "Failed":
            raise Refused(
                "ValidationException", f'Cannot update failed endpoint "{record["arn"]}".'
            )
        return record

    def _change(self, record: Record) -> dict[str, Any]:
        if not self._halt.is_set():
            given = (self._world, record, self._fleets, self._halt)
            thread = threading.Thread(target=change, args=given, daemon=True)
            self._threads.append(thread)
            thread.start()
        return {"EndpointArn": record["arn"]}


def _summary(record: Record) -> dict[str, Any]:
    about = {"LastModifiedTime": record["modified"], "EndpointStatus": record["status"]}
    return {**ENDPOINT.told(record), **about}
