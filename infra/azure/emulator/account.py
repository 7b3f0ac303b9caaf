"""The account that a rehearsal has where nobody named one: made up, and never asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from infra.azure import AzureSettings
from infra.azure.emulator.world import Scope

_WANTED = {
    "subscription": "00000000-0000-4000-8000-000000000001",
    "resource_group": "trefoil-rehearsal",
    "ml_workspace": "trefoil",
    "region": "westeurope",
    "storage_account": "trefoilrehearsal",
    "container": "trefoil",
    "datastore": "trefoil",
    "identity": "00000000-0000-4000-8000-00000000000a",
    "serving_identity": (
        "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/trefoil-rehearsal/"
        "providers/Microsoft.ManagedIdentity/userAssignedIdentities/trefoil-serving"
    ),
    "registry": "trefoilrehearsal.azurecr.io",
}


def made_up(settings: AzureSettings, workspace: Path) -> AzureSettings:
    """The settings, what is missing of an account made up; tracking stays in the workspace."""
    missing: dict[str, Any] = {n: v for n, v in _WANTED.items() if not getattr(settings, n)}
    database = workspace.resolve() / "mlflow" / "mlflow.db"
    return settings._replace(**missing, tracking_uri=f"sqlite:///{database}")


def scope_of(settings: AzureSettings) -> Scope:
    """What there is of the account that the settings are of."""
    clusters = {settings.compute: False, settings.spot_compute: True}
    return Scope(
        settings.subscription,
        settings.resource_group,
        settings.ml_workspace,
        settings.region,
        settings.storage_account,
        settings.container,
        settings.datastore,
        {name: spot for name, spot in clusters.items() if name},
        frozenset(
            {settings.identity, settings.serving_identity, *settings.step_identities.values()}
            - {""}
        ),
    )
