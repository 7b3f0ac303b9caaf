"""The workspace itself: what it is, its clusters, its datastore, and what of them is left."""

from __future__ import annotations

from typing import Any

from infra.azure.emulator.refusal import Refused
from infra.azure.emulator.routing import PROVIDER, Asked, Route
from infra.azure.emulator.world import World, now, when
from infra.machines import table
from infra.rehearsal.server import Answer, answer

_MADE = 1_700_000_000.0


class Workspace:
    """What terraform has made."""

    def __init__(self, world: World, signature: str) -> None:
        """``signature`` is that of the links that it gives out to its storage."""
        self._world, self._signature = world, signature

    def routes(self) -> list[Route]:
        """What is asked of it."""
        return [
            Route("GET", "", self._get),
            Route("GET", "computes/([^/]+)", self._cluster),
            Route("GET", "computes", self._clusters),
            Route("GET", "datastores/([^/]+)", self._datastore),
            Route("GET", "datastores", self._datastores),
            Route("POST", "datastores/([^/]+)/listSecrets", self._secrets),
        ]

    def _get(self, _: Asked) -> Answer:
        scope = self._world.scope
        storage = (
            f"/subscriptions/{scope.subscription}/resourceGroups/{scope.group}/providers/"
            f"Microsoft.Storage/storageAccounts/{scope.account}"
        )
        return answer({
            "id": scope.path, "name": scope.workspace, "type": f"{PROVIDER}/workspaces",
            "location": scope.region, "tags": {}, "kind": "Default",
            "sku": {"name": "Basic", "tier": "Basic"},
            "identity": {"type": "SystemAssigned"},
            "systemData": {"createdAt": when(_MADE), "lastModifiedAt": when(_MADE)},
            "properties": {
                "friendlyName": scope.workspace, "storageAccount": storage,
                "workspaceId": "00000000-0000-4000-8000-00000000000a",
                "discoveryUrl": f"https://{scope.region}.api.azureml.ms/discovery",
                "mlFlowTrackingUri": f"azureml://{scope.region}.api.azureml.ms/mlflow/v1.0",
                "provisioningState": "Succeeded", "publicNetworkAccess": "Enabled",
            },
        })  # fmt: skip

    def _cluster(self, asked: Asked) -> Answer:
        name = asked.names[0]
        if name not in self._world.scope.clusters:
            words = f"Requested compute '{name}' was not found."
            raise Refused(404, "UserError", words)
        return answer(self._told(name))

    def _clusters(self, _: Asked) -> Answer:
        return answer({"value": [self._told(name) for name in self._world.scope.clusters]})

    def _told(self, name: str) -> dict[str, Any]:
        scope = self._world.scope
        machine = table("azure").machines[0].name
        return {
            "id": self._world.id(f"computes/{name}"), "name": name,
            "type": f"{PROVIDER}/workspaces/computes", "location": scope.region,
            "properties": {
                "computeType": "AmlCompute", "computeLocation": scope.region,
                "provisioningState": "Succeeded", "createdOn": when(_MADE),
                "modifiedOn": when(_MADE), "isAttachedCompute": False, "disableLocalAuth": True,
                "properties": {
                    "vmSize": machine, "osType": "Linux",
                    "vmPriority": "LowPriority" if scope.clusters[name] else "Dedicated",
                    "scaleSettings": {"minNodeCount": 0, "maxNodeCount": 4},
                    "allocationState": "Steady", "currentNodeCount": 0, "targetNodeCount": 0,
                },
            },
        }  # fmt: skip

    def _datastores(self, _: Asked) -> Answer:
        return answer({"value": [self._store()]})

    def _datastore(self, asked: Asked) -> Answer:
        if asked.names[0] != self._world.scope.datastore:
            words = f"Could not find datastore: {asked.names[0]}"
            raise Refused(404, "UserError", words)
        return answer(self._store())

    def _store(self) -> dict[str, Any]:
        scope = self._world.scope
        return {
            "id": self._world.id(f"datastores/{scope.datastore}"), "name": scope.datastore,
            "type": f"{PROVIDER}/workspaces/datastores",
            "systemData": {"createdAt": when(_MADE), "lastModifiedAt": when(_MADE)},
            "properties": {
                "datastoreType": "AzureBlob", "accountName": scope.account,
                "containerName": scope.container, "endpoint": "core.windows.net",
                "protocol": "https", "isDefault": True, "credentials": {"credentialsType": "None"},
                "properties": {}, "tags": {}, "serviceDataAccessAuthIdentity": "None",
            },
        }  # fmt: skip

    def _secrets(self, asked: Asked) -> Answer:
        self._datastore(asked)
        until = when(now() + 3600)
        token = f"sv=2021-08-06&se={until}&sr=c&sp=rcwl&sig={self._signature}"
        return answer({"secretsType": "Sas", "sasToken": token})
