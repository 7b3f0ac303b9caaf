"""A ground in each cloud with everything that can be asked for, and what is there before it."""

from __future__ import annotations

from typing import Any, NamedTuple

_CI = {"repository": "me/my-models", "environment": "production"}
_IMAGE = "example.com/me@sha256:" + "0" * 64
_COMMAND = ["python", "-m", "pipelines.run", "--provider"]
_MAIL = ["me@example.com"]


class Ground(NamedTuple):
    """``data`` is what a data source would find, by its type."""

    data: dict[str, dict[str, Any]]
    variables: dict[str, Any]


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
            "autoscale": {"digits": {"deployment": "v3", "maximum": 4}},
            "tags": {"team": "digits"},
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
    ),
}
