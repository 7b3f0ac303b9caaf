"""Versions in SageMaker's own registry: each waits for approval until all requests are its own."""

from __future__ import annotations

from collections.abc import Mapping

from infra.aws.serving import requests
from infra.aws.serving.requests import PACKAGE, Release
from infra.aws.serving.state import At, tags_of

_ABOUT = {
    "run": "TREFOIL_RUN_ID",
    "plan": "TREFOIL_PLAN_DIGEST",
    "commit": "TREFOIL_GIT_COMMIT",
}


def register(
    at: At, release: Release, image: str, data: str, environment: Mapping[str, str]
) -> str:
    """Make the package of a version, pending approval; the same request makes it once.

    Returns its ARN, empty without a group. Raises TrefoilError.
    """
    group = at.serving.group
    if not group:
        return ""
    about = {name: environment[key] for name, key in _ABOUT.items() if environment.get(key)}
    about |= {"model": release.model_name, "version": release.version}
    asked = requests.package(release, image, data, about, group)
    doing = f"register version {release.version} in the group {group}"
    return str(at.aws.ask("sagemaker", "create_model_package", doing, **asked)["ModelPackageArn"])


def approve(at: At, model: str) -> None:
    """Approve the package that a model was made with. Raises TrefoilError."""
    doing = f"approve the package of {model}"
    found = at.aws.ask("sagemaker", "describe_model", doing, ModelName=model)
    arn = (tags_of(at.aws, found["ModelArn"]) or {}).get(PACKAGE)
    if not arn:
        return
    asked = {"ModelPackageArn": arn, "ModelApprovalStatus": "Approved"}
    why = f"all requests to the endpoint {at.name}"
    at.aws.ask("sagemaker", "update_model_package", doing, **asked, ApprovalDescription=why)
