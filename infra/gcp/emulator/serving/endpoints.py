"""Endpoints: one name that answers, by what is deployed there, each with its share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from infra.gcp.emulator.operations import Halted, Operations
from infra.gcp.emulator.refusal import Refused
from infra.gcp.emulator.serving.fleet import Fleet
from infra.gcp.emulator.serving.models import Models, whole
from infra.gcp.emulator.serving.server import Started
from infra.gcp.emulator.world import Record, World, moment

KIND = "Endpoint"
_PREFIX = "aiplatform.projects.locations.endpoints"
_DEDICATED = "this rehearsal deploys on dedicatedResources alone"
_REPLICAS = ("minReplicaCount", "maxReplicaCount", "requiredReplicaCount", "autoscalingMetricSpecs")


class Endpoints:
    """All endpoints of a project. What changes goes on when the stand-in is started again."""

    def __init__(self, world: World, operations: Operations, models: Models) -> None:
        self._world, self._operations, self._models = world, operations, models
        self.fleet = Fleet(world)
        operations.add("CreateEndpoint", self._created, "Endpoint")
        operations.add("DeployModel", self._deployed, "DeployModelResponse")
        operations.add("UndeployModel", self._undeployed, "UndeployModelResponse")
        operations.add("MutateDeployedModel", self._mutated, "MutateDeployedModelResponse")
        operations.add("DeleteEndpoint", self._deleted, "")

    def operations(self) -> dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]]:
        """The operations there are, by the IDs of the description."""
        return {
            f"{_PREFIX}.create": self._create,
            f"{_PREFIX}.get": self._get,
            f"{_PREFIX}.list": self._list,
            f"{_PREFIX}.patch": self._patch,
            f"{_PREFIX}.deployModel": self._deploy,
            f"{_PREFIX}.mutateDeployedModel": self._mutate,
            f"{_PREFIX}.undeployModel": self._undeploy,
            f"{_PREFIX}.delete": self._delete,
        }

    def resume(self) -> None:
        """End what a rehearsal that was killed left running."""
        self.fleet.end_orphans()

    def close(self) -> None:
        """End the servers."""
        self.fleet.close()

    def find(self, name: str) -> Record:
        """The endpoint of that name. Raises Refused."""
        found = self._world.store.get(KIND, name.rpartition("/")[2])
        if found is None:
            raise Refused("NOT_FOUND", f"The Endpoint does not exist: {name}.")
        return found

    def serving(self, record: Record, deployed: str) -> Started:
        """The server of what is deployed; started where an earlier rehearsal ended it.

        Raises Refused, Halted.
        """
        given = self._require(record, deployed)
        return self.fleet.get(record["name"], deployed, given, self._version(given))

    def about(self, record: Record, deployed: str) -> dict[str, str]:
        """What an answer says of who gave it. Raises Refused."""
        version = self._version(self._require(record, deployed))
        return {
            "deployedModelId": deployed,
            "model": self._models.resource(version),
            "modelDisplayName": version["body"]["displayName"],
            "modelVersionId": version["number"],
        }

    def _version(self, given: Mapping[str, Any]) -> Record:
        return self._models.find(f"models/{given['version']}")

    def _create(self, request: Mapping[str, Any]) -> dict[str, Any]:
        name = request.get("endpointId") or str(time.time_ns())
        with self._world.store.lock:
            asked = [each["name"] for each in self._operations.under_way("CreateEndpoint")]
            if self._world.store.get(KIND, name) or name in asked:
                resource = self._world.name(f"endpoints/{name}")
                raise Refused("ALREADY_EXISTS", f"The Endpoint already exists: {resource}.")
            about = {"name": name, "body": request["body"]}
            return self._operations.begin("CreateEndpoint", f"endpoints/{name}", about)

    def _created(self, about: Mapping[str, Any], _halt: threading.Event) -> dict[str, Any]:
        name = about["name"]
        record = self._world.store.add(
            KIND, name, self._world.name(f"endpoints/{name}"),
            body=dict(about["body"]), deployed={}, traffic={}, etag=_etag(),
        )  # fmt: skip
        return self._told(record)

    def _get(self, request: Mapping[str, Any]) -> dict[str, Any]:
        with self._world.store.lock:
            return self._told(self.find(request["name"]))

    def _list(self, request: Mapping[str, Any]) -> dict[str, Any]:
        with self._world.store.lock:
            found = [self._told(each) for each in self._world.store.of(KIND)]
        return self._world.page(found, request, "endpoints")

    def _patch(self, request: Mapping[str, Any]) -> dict[str, Any]:
        body = request["body"]
        with self._world.store.lock:
            record = self.find(request["name"])
            if body.get("etag", record["etag"]) != record["etag"]:
                raise Refused("ABORTED", "The etag of the request is not that of the Endpoint.")
            paths = whole(request["updateMask"])
            if "trafficSplit" in paths:
                self._share(record, body.get("trafficSplit", {}))
            for path in paths:
                if path != "trafficSplit":
                    record["body"][path] = body.get(path)
            self._save(record)
            return self._told(record)

    def _deploy(self, request: Mapping[str, Any]) -> dict[str, Any]:
        given, split = dict(request["body"]["deployedModel"]), request["body"].get("trafficSplit")
        if "dedicatedResources" not in given:
            raise Refused("UNIMPLEMENTED", _DEDICATED)
        with self._world.store.lock:
            record = self.find(request["endpoint"])
            version = self._models.find(given["model"])
            self._world.check_account(given.get("serviceAccount", ""))
            name = given.get("id") or str(time.time_ns())
            coming = [
                each["id"]
                for each in self._operations.under_way("DeployModel")
                if each["endpoint"] == record["name"]
            ]
            if name in record["deployed"] or name in coming:
                raise Refused("ALREADY_EXISTS", f"DeployedModel {name} already exists.")
            if record["body"].get("network") and (record["deployed"] or coming):
                words = "A private endpoint supports one DeployedModel; undeploy the other first."
                raise Refused("FAILED_PRECONDITION", words)
            if split:
                self._check_share(split, {*record["deployed"], "0"})
            self._check_quota(given["dedicatedResources"])
            about = {
                "endpoint": record["name"], "id": name, "given": given, "split": split or {},
                "version": version["name"],
            }  # fmt: skip
            return self._operations.begin("DeployModel", f"endpoints/{record['name']}", about)

    def _deployed(self, about: Mapping[str, Any], halt: threading.Event) -> dict[str, Any]:
        """Machines that came to serve. Raises Refused with why they did not, Halted."""
        if self._world.clock.wait(self._world.scenario.get("start", 0.0), halt):
            raise Halted
        name, record = about["id"], self.find(about["endpoint"])
        version = self._models.find(f"models/{about['version']}")
        given = {"asked": about["given"], "version": version["name"], "created": time.time()}
        self.fleet.raised(record["name"], name, given, version, halt)
        try:
            with self._world.store.lock:
                split = {name if each == "0" else each: n for each, n in about["split"].items()}
                self._check_share(split, {*record["deployed"], name})
                record["deployed"][name] = given
                if split:
                    self._share(record, split)
                self._save(record)
                return {"deployedModel": self._deployment(record, name)}
        except Refused:  # what the split names was undeployed meanwhile
            self.fleet.end(record["name"], name)
            raise

    def _mutate(self, request: Mapping[str, Any]) -> dict[str, Any]:
        given, mask = request["body"]["deployedModel"], request["body"]["updateMask"]
        if "automaticResources" in mask:
            raise Refused("UNIMPLEMENTED", _DEDICATED)
        with self._world.store.lock:
            record = self.find(request["endpoint"])
            self._require(record, given["id"])
            name = record["name"]
            about = {"endpoint": name, "given": given, "mask": mask}
            return self._operations.begin("MutateDeployedModel", f"endpoints/{name}", about)

    def _mutated(self, about: Mapping[str, Any], _halt: threading.Event) -> dict[str, Any]:
        given = about["given"]
        with self._world.store.lock:
            record = self.find(about["endpoint"])
            asked = self._require(record, given["id"])["asked"]
            for path in about["mask"].split(","):
                key = path.rpartition(".")[2]
                source, target = given, asked
                if key in _REPLICAS:
                    source = given.get("dedicatedResources", {})
                    target = asked["dedicatedResources"]
                target[key] = source.get(key)
                if target[key] is None:
                    del target[key]
            self._save(record)
            return {"deployedModel": self._deployment(record, given["id"])}

    def _undeploy(self, request: Mapping[str, Any]) -> dict[str, Any]:
        name, split = request["body"]["deployedModelId"], request["body"].get("trafficSplit")
        with self._world.store.lock:
            record = self.find(request["endpoint"])
            self._require(record, name)
            self._check_share(split or {}, record["deployed"])
            share = (split if split else record["traffic"]).get(name, 0)
            if share and len(record["deployed"]) > 1:
                words = f"DeployedModel {name} has traffic assigned to it; move it first."
                raise Refused("FAILED_PRECONDITION", words)
            about = {"endpoint": record["name"], "id": name, "split": split}
            return self._operations.begin("UndeployModel", f"endpoints/{record['name']}", about)

    def _undeployed(self, about: Mapping[str, Any], _halt: threading.Event) -> dict[str, Any]:
        with self._world.store.lock:
            record = self.find(about["endpoint"])
            if about["split"]:
                self._share(record, about["split"])
            for kept in ("traffic", "deployed"):
                left = {name: each for name, each in record[kept].items() if name != about["id"]}
                record[kept] = left
            self._save(record)
        self.fleet.end(record["name"], about["id"])
        return {}

    def _delete(self, request: Mapping[str, Any]) -> dict[str, Any]:
        record = self.find(request["name"])
        if record["deployed"] or any(
            each["endpoint"] == record["name"] for each in self._operations.under_way("DeployModel")
        ):
            words = f"The Endpoint {record['arn']} has deployed or being-deployed models."
            raise Refused("FAILED_PRECONDITION", words)
        return self._operations.begin("DeleteEndpoint", "", {"name": record["name"]})

    def _deleted(self, about: Mapping[str, Any], _halt: threading.Event) -> dict[str, Any]:
        with self._world.store.lock:
            if self._world.store.get(KIND, about["name"]):
                self._world.store.remove(KIND, about["name"])
        return {}

    def _require(self, record: Record, deployed: str) -> dict[str, Any]:
        found: dict[str, Any] | None = record["deployed"].get(deployed)
        if found is None:
            words = f"DeployedModel {deployed} is not found in the Endpoint {record['arn']}."
            raise Refused("NOT_FOUND", words)
        return found

    def _share(self, record: Record, split: Mapping[str, int]) -> None:
        self._check_share(split, record["deployed"])
        record["traffic"] = {name: share for name, share in split.items() if share}

    def _check_share(self, split: Mapping[str, int], deployed: Collection[str]) -> None:
        for name in split:
            if name not in deployed:
                words = f"traffic_split names DeployedModel {name}, which is not deployed."
                raise Refused("INVALID_ARGUMENT", words)

    def _check_quota(self, resources: Mapping[str, Any]) -> None:
        """Raise Refused where the scenario gives the project too few of such machines."""
        machine = resources["machineSpec"]
        kind = machine.get("acceleratorType") or machine["machineType"]
        limits: Mapping[str, int] = self._world.scenario.get("limits", {})
        limit = limits.get(kind, limits.get("*"))
        used = sum(
            1
            for each in self._world.store.of(KIND)
            for given in each["deployed"].values()
            if kind in given["asked"]["dedicatedResources"]["machineSpec"].values()
        )
        if limit is not None and used + 1 > limit:
            what = f"{kind.lower()}_gpus" if "acceleratorType" in machine else "cpus"
            metric = f"aiplatform.googleapis.com/custom_model_serving_{what}"
            words = f"The following quota metrics exceed quota limits: {metric}"
            raise Refused("RESOURCE_EXHAUSTED", words)

    def _save(self, record: Record) -> None:
        record["etag"] = _etag()
        self._world.store.save(KIND, record)

    def _deployment(self, record: Record, name: str) -> dict[str, Any]:
        given = record["deployed"][name]
        version = self._version(given)
        asked = {key: value for key, value in given["asked"].items() if value is not None}
        found = {
            "displayName": version["body"]["displayName"],
            **asked,
            "id": name,
            "model": self._models.resource(version),
            "modelVersionId": version["number"],
            "createTime": moment(given["created"]),
        }
        if record["body"].get("network"):
            found["privateEndpoints"] = self.serving(record, name).addresses()
        return found

    def _told(self, record: Record) -> dict[str, Any]:
        body = {key: value for key, value in record["body"].items() if value is not None}
        return {
            **body,
            "name": record["arn"],
            "deployedModels": [self._deployment(record, each) for each in record["deployed"]],
            "trafficSplit": record["traffic"],
            "etag": record["etag"],
            "createTime": moment(record["created"]),
            "updateTime": moment(record["modified"]),
        }


def _etag() -> str:
    return f"AMEw9{time.time_ns():x}"
