"""A ground in each cloud with everything that can be asked for, and what is there before it."""

from __future__ import annotations

from typing import Any, NamedTuple

_CI = {"repository": "me/my-models", "environment": "production"}
_IMAGE = "example.com/me@sha256:" + "0" * 64
_COMMAND = ["python", "-m", "pipelines.run", "--provider"]
_MAIL = ["me@example.com"]


class Ground(NamedTuple):
    """``data`` is what a data source would find, by its type; ``known`` what a cloud would say of
    a resource, by its address.
    """

    data: dict[str, dict[str, Any]]
    variables: dict[str, Any]
    known: dict[str, dict[str, Any]] = {}  # noqa: RUF012 - read only


def _account(name: str) -> dict[str, str]:
    email = f"trefoil-{name}@my-models-123456.iam.gserviceaccount.com"
    return {
        "email": email,
        "member": f"serviceAccount:{email}",
        "name": f"projects/my-models-123456/serviceAccounts/{email}",
    }


def _identity(number: int, name: str) -> dict[str, str]:
    return {
        "id": f"{_GROUP}/Microsoft.ManagedIdentity/userAssignedIdentities/trefoil-{name}",
        "client_id": f"{number:08}-0000-0000-0000-000000000001",
        "principal_id": f"{number:08}-0000-0000-0000-000000000002",
    }


_GROUP = "/subscriptions/01234567-89ab-cdef-0123-456789abcdef/resourceGroups/trefoil/providers"
_ACCOUNTS = ("pipeline", "train", "deploy", "serving")
_IDENTITIES = ("workspace", "train", "deploy", "serving", "ci", "scheduled")


GROUNDS = {
    "aws": Ground(
        data={
            "aws_caller_identity": {"account_id": "123456789012"},
            "aws_partition": {"partition": "aws"},
            "aws_region": {"name": "eu-west-1"},
            "aws_iam_policy_document": {"json": "{}"},
        },
        variables={
            "region": "eu-west-1",
            "ci": _CI,
            "schedule": {
                "expression": "rate(7 days)",
                "image": _IMAGE,
                "command": [*_COMMAND, "aws"],
            },
            "budget": {"monthly_usd": 200, "emails": _MAIL},
            "subnets": ["subnet-0123456789abcdef0"],
            "security_groups": ["sg-0123456789abcdef0"],
            "tags": {"team": "digits"},
        },
    ),
    "azure": Ground(
        data={
            "azurerm_client_config": {
                "subscription_id": "01234567-89ab-cdef-0123-456789abcdef",
                "tenant_id": "fedcba98-7654-3210-fedc-ba9876543210",
            }
        },
        variables={
            "subscription": "01234567-89ab-cdef-0123-456789abcdef",
            "region": "westeurope",
            "launchers": ["89abcdef-0123-4567-89ab-cdef01234567"],
            "ci": _CI,
            "schedule": {
                "expression": "0 3 * * 1",
                "image": _IMAGE,
                "command": [*_COMMAND, "azure"],
            },
            "budget": {"monthly": 200, "emails": _MAIL},
            "autoscale": {"digits": {"deployment": "v3-0123456789", "maximum": 4}},
            "tags": {"team": "digits"},
        },
        known={
            "azurerm_container_registry.this": {
                "id": f"{_GROUP}/Microsoft.ContainerRegistry/registries/trefoil",
                "login_server": "trefoil.azurecr.io",
            },
            **{
                f'azurerm_user_assigned_identity.this["{name}"]': _identity(number, name)
                for number, name in enumerate(_IDENTITIES)
            },
        },
    ),
    "gcp": Ground(
        data={"google_project": {"number": "123456789012"}},
        variables={
            "project": "my-models-123456",
            "region": "europe-west4",
            "launchers": ["group:ml@example.com"],
            "ci": _CI,
            "schedule": {
                "expression": "0 3 * * 1",
                "image": _IMAGE,
                "command": [*_COMMAND, "gcp"],
            },
            "budget": {
                "billing_account": "012345-6789AB-CDEF01",
                "monthly_usd": 200,
                "emails": _MAIL,
            },
            "network": "projects/123456789012/global/networks/private",
            "labels": {"team": "digits"},
        },
        known={
            "google_kms_crypto_key.this": {
                "id": "projects/my-models-123456/locations/europe-west4/keyRings/trefoil"
                "/cryptoKeys/trefoil"
            },
            **{f"google_service_account.{name}": _account(name) for name in _ACCOUNTS},
            **{
                f"google_service_account.{name}[0]": _account(name)
                for name in ("ci", "schedule", "scheduled")
            },
        },
    ),
}
