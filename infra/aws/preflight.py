"""What must be right before a run is sent: each thing that is looked at is one named line.

What these credentials may not look at is passed over: whoever may start runs need not be able to
read roles, images or quotas. ``--provider aws doctor`` prints the lines, a run keeps to those that
are needed.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from infra.aws import AwsSettings
from infra.aws.described import kind_of
from infra.aws.lower import require_settings
from infra.aws.session import MISSING, Aws, connected
from infra.errors import CredentialsError, InputError, ProviderError, QuotaError
from infra.machines import table

_ECR = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[\w-]+)\.amazonaws\.com/(?P<name>[^:@]+)"
    r"(?::(?P<tag>[^@]+))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_MISSING_IMAGE = r"RepositoryNotFound|ImageNotFound"
_NO_ROLE = r"NoSuchEntity"
_SERVICE = "sagemaker.amazonaws.com"
_NONE: Mapping[str, int] = {}


class Check(NamedTuple):
    """One thing that was looked at; where ``needed`` and not ``well``, nothing is sent."""

    name: str
    well: bool
    words: str
    needed: bool = True


class Wanted(NamedTuple):
    """What a run needs: images, and so many machines under each name of a quota."""

    images: tuple[str, ...] = ()
    machines: Mapping[str, int] = _NONE


def require(aws: Aws, body: Mapping[str, Any], settings: AwsSettings) -> None:
    """Raise InputError, QuotaError or CredentialsError at the first thing that a run must have."""
    for check in _run_checks(aws, settings, wanted(body)):
        if check.needed and not check.well:
            wrong = QuotaError if check.name == "quota" else InputError
            raise wrong(f"{check.name}: {check.words}; nothing was sent")


def checks(settings: AwsSettings) -> Iterator[Check]:
    """Look at everything in turn that does not depend on a run; for ``doctor``."""
    try:
        require_settings(settings)
        aws = connected(settings.region)
        yield from _run_checks(aws, settings, Wanted())
        yield from _roles(aws, settings)
    except (CredentialsError, InputError, ProviderError) as error:
        yield Check("aws", False, str(error))


def wanted(body: Mapping[str, Any]) -> Wanted:
    """The images and machines of everything that the body would start."""
    requests = [(e["operation"], e["request"]) for e in [*_job(body), *body["after"]]]
    requests += [
        (f"Create{step['Type']}Job", step["Arguments"]) for step in _steps(body.get("pipeline"))
    ]
    images: dict[str, None] = {}
    machines: dict[str, int] = {}
    for operation, request in requests:
        app = request.get("AppSpecification") or request.get("AlgorithmSpecification", {})
        images[app.get("ImageUri") or app.get("TrainingImage", "")] = None
        found = request.get("ResourceConfig") or request["ProcessingResources"]["ClusterConfig"]
        kind = kind_of(operation).lower()
        spot = "spot " * bool(request.get("EnableManagedSpotTraining"))
        name = f"{found.get('InstanceType', '')} for {spot}{kind} job usage"
        machines[name] = max(machines.get(name, 0), int(found.get("InstanceCount") or 1))
    return Wanted(tuple(images), machines)


def _run_checks(aws: Aws, settings: AwsSettings, run: Wanted) -> Iterator[Check]:
    yield _identity(aws, settings)
    yield _bucket(aws, settings)
    for image in run.images:
        yield _image(aws, image)
    rare = {name: count for name, count in run.machines.items() if _accelerated(name)}
    if rare:
        yield from _quotas(aws, rare)


def _identity(aws: Aws, settings: AwsSettings) -> Check:
    """Raises CredentialsError."""
    who = aws.ask("sts", "get_caller_identity", "tell who we are")
    for role in (settings.pipeline_role_arn, settings.training_role_arn):
        account = role.split(":")[4] if role.count(":") >= 5 else ""
        if account != who["Account"]:
            words = f"these credentials are of account {who['Account']}, and the role is {role}"
            return Check("identity", False, words)
    return Check("identity", True, who["Arn"])


def _bucket(aws: Aws, settings: AwsSettings) -> Check:
    found = aws.find(
        "s3", "head_bucket", f"look at the bucket {settings.bucket}", f"{MISSING}|301|400",
        Bucket=settings.bucket,
    )  # fmt: skip
    if found is None:
        words = f"there is no s3://{settings.bucket} in {settings.region}; see the setting bucket"
        return Check("bucket", False, words)
    region = found.get("BucketRegion") or settings.region
    if region != settings.region:
        words = f"s3://{settings.bucket} is in {region}, and jobs are to run in {settings.region}"
        return Check("bucket", False, words)
    return Check("bucket", True, f"s3://{settings.bucket}")


def _image(aws: Aws, image: str) -> Check:
    known = _ECR.fullmatch(image)
    if known is None:
        words = (
            f"{image} is not in ECR, which is where SageMaker pulls from; see the setting images"
        )
        return Check("image", False, words, needed=False)
    which = {"imageDigest": known["digest"]} if known["digest"] else {"imageTag": known["tag"]}
    where = f"see: python -m pipelines image push --registry {image.partition('/')[0]}"
    found = _allowed(functools.partial(
        aws.find, "ecr", "describe_images", f"look at the image {image}", _MISSING_IMAGE,
        registryId=known["account"], repositoryName=known["name"],
        imageIds=[which if all(which.values()) else {"imageTag": "latest"}],
    ))  # fmt: skip
    if found is None:
        return Check("image", False, f"{image} is not there; {where}")
    if not found:
        return Check("image", True, f"{image}, which we may not look at", needed=False)
    digest = found["imageDetails"][0].get("imageDigest", "")
    return Check("image", True, f"{image} ({digest[:19]})")


def _quotas(aws: Aws, wanted: Mapping[str, int]) -> Iterator[Check]:
    """Of accelerators, of which an account may have none until it asks for them."""
    try:
        listed = aws.pages(
            "service-quotas", "list_service_quotas", "Quotas", "list the quotas",
            ServiceCode="sagemaker",
        )  # fmt: skip
        known = {each["QuotaName"]: each["Value"] for each in listed}
    except (CredentialsError, ProviderError):
        yield Check("quota", True, "which we may not look at", needed=False)
        return
    for name, count in wanted.items():
        if name not in known:
            yield Check("quota", True, f"{name}: not listed", needed=False)
            continue
        well = known[name] >= count
        more = "" if well else f", and the run needs {count}; ask for more in Service Quotas"
        yield Check("quota", well, f"{name}: {known[name]:g}{more}")


def _accelerated(quota: str) -> bool:
    machine = quota.partition(" ")[0]
    return any(each.accelerators and each.name == machine for each in table("aws").machines)


def _roles(aws: Aws, settings: AwsSettings) -> Iterator[Check]:
    for what in ("pipeline", "training", "serving"):
        arn = getattr(settings, f"{what}_role_arn")
        if not arn:
            continue
        name = arn.rpartition("/")[2]
        found = _allowed(functools.partial(
            aws.find, "iam", "get_role", f"look at the role {name}", _NO_ROLE, RoleName=name
        ))  # fmt: skip
        if found is None:
            yield Check("role", False, f"there is no role {arn}; see the setting {what}_role_arn")
        elif not found:
            yield Check("role", True, f"{arn}, which we may not look at", needed=False)
        else:
            trusted = _SERVICE in str(found["Role"].get("AssumeRolePolicyDocument", ""))
            words = arn if trusted else f"{arn} does not trust {_SERVICE}: jobs cannot take it"
            yield Check("role", trusted, words)


def _allowed(look: Callable[[], dict[str, Any] | None]) -> dict[str, Any] | None:
    """What is found; empty where we may not look, or nobody answers."""
    try:
        return look()
    except (CredentialsError, ProviderError):
        return {}


def _job(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [body["job"]] if "job" in body else []


def _steps(pipeline: Mapping[str, Any] | None) -> Iterator[Mapping[str, Any]]:
    steps: Iterable[Mapping[str, Any]] = pipeline["PipelineDefinition"]["Steps"] if pipeline else ()
    for step in steps:
        if step["Type"] == "Condition":
            yield from step["Arguments"]["IfSteps"]
        else:
            yield step
