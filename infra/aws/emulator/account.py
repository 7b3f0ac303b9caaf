"""The account that a rehearsal has where nobody named one: made up, and never asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from infra.aws import AwsSettings

NUMBER, REGION = "123456789012", "eu-central-1"
_BUCKET = "trefoil-rehearsal"


def made_up(settings: AwsSettings, workspace: Path) -> AwsSettings:
    """The settings, what is missing of an account made up; tracking stays in the workspace."""
    number = number_of(settings)
    region = settings.region or REGION
    wanted: dict[str, Any] = {
        "region": region,
        "bucket": _BUCKET,
        "registry": f"{number}.dkr.ecr.{region}.amazonaws.com",
        "pipeline_role_arn": f"arn:aws:iam::{number}:role/trefoil-pipeline",
        "training_role_arn": f"arn:aws:iam::{number}:role/trefoil-training",
        "serving_role_arn": f"arn:aws:iam::{number}:role/trefoil-serving",
    }
    missing = {name: value for name, value in wanted.items() if not getattr(settings, name)}
    database = workspace.resolve() / "mlflow" / "mlflow.db"
    return settings._replace(**missing, tracking_uri=f"sqlite:///{database}")


def roles_of(settings: AwsSettings) -> frozenset[str]:
    """The roles that there are."""
    named = (settings.pipeline_role_arn, settings.training_role_arn, settings.serving_role_arn)
    return frozenset({*named, *settings.step_roles.values()})


def number_of(settings: AwsSettings) -> str:
    """The account that the settings are of."""
    parts = settings.training_role_arn.split(":")
    return parts[4] if len(parts) > 4 else NUMBER
