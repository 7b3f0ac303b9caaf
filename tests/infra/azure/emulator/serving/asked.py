"""What the tests of the stand-in share: azure-ai-ml's own client, and endpoints made by it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.infra.azure.serving.placed import IDENTITY, IMAGE, SCOPE, Place, place

DATASTORE = "azureml://datastores/trefoil/paths"


class Asked(Place):
    """A workspace, asked by MLClient."""

    def __init__(self, folder: Path) -> None:
        from azure.ai.ml import MLClient
        from azure.identity import DefaultAzureCredential

        super().__init__(folder)
        logging.getLogger("azure.ai.ml").setLevel(logging.ERROR)
        self.ml = MLClient(
            DefaultAzureCredential(), SCOPE.subscription, SCOPE.group, SCOPE.workspace
        )

    def model(self, version: str, **card: Any) -> Any:
        """Register a model whose files lie in the container."""
        from azure.ai.ml.entities import Model

        from infra.azure.session import reached

        blobs = reached(self.serving.where).blobs
        card = {"operations": {"sample": {}}, **card}
        blobs.upload_blob(f"m/{version}/serving.json", json.dumps(card), overwrite=True)
        return self.ml.models.create_or_update(
            Model(name="vae", version=version, path=f"{DATASTORE}/m/{version}", type="custom_model")
        )

    def endpoint(self, name: str = "digits", auth: str = "key", **more: Any) -> Any:
        """Make or change an endpoint."""
        from azure.ai.ml.entities import (
            IdentityConfiguration,
            ManagedIdentityConfiguration,
            ManagedOnlineEndpoint,
        )

        identity = IdentityConfiguration(
            type="user_assigned",
            user_assigned_identities=[ManagedIdentityConfiguration(resource_id=IDENTITY)],
        )
        asked = ManagedOnlineEndpoint(name=name, auth_mode=auth, identity=identity, **more)
        return self.ml.online_endpoints.begin_create_or_update(asked).result()

    def deployment(self, version: str, **more: Any) -> Any:
        """Deploy a version of the model to the endpoint digits, as v1, v2."""
        from azure.ai.ml.entities import Environment, ManagedOnlineDeployment

        routes = {
            name: {"path": path, "port": 8080}
            for name, path in (
                ("liveness_route", "/live"), ("readiness_route", "/ready"),
                ("scoring_route", "/score"),
            )
        }  # fmt: skip
        environment = Environment(name="own", version="1", image=IMAGE, inference_config=routes)
        asked = ManagedOnlineDeployment(
            name=f"v0{version}", endpoint_name="digits", model=f"azureml:vae:{version}",
            environment=environment, instance_type="Standard_DS3_v2", instance_count=1,
            environment_variables={"TREFOIL_MODEL_VERSION": version}, **more,
        )  # fmt: skip
        return self.ml.online_deployments.begin_create_or_update(asked).result()

    def invoke(self, body: Mapping[str, Any], deployment: str | None = None) -> dict[str, Any]:
        """Ask the endpoint digits by the client's own call."""
        from azure.ai.ml.constants._endpoint import EndpointInvokeFields

        file = self.folder / "request.json"
        file.write_text(json.dumps(body))
        # its headers are one for all calls: a deployment that was named once would stay named
        EndpointInvokeFields.DEFAULT_HEADER = {"Content-Type": "application/json"}
        found = self.ml.online_endpoints.invoke(
            "digits", request_file=str(file), deployment_name=deployment
        )
        told: dict[str, Any] = json.loads(found)
        return told


@contextmanager
def asked(folder: Path, scenario: dict[str, Any] | None = None) -> Iterator[Asked]:
    """The workspace while the block runs."""
    with place(folder, scenario):
        yield Asked(folder)
