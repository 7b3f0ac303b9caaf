"""What an endpoint is on SageMaker: models, and a configuration that names them. Pure.

A configuration never changes: its name ends in a digest of what it says. In its tags it remembers
which one came before it, so that the endpoint, which names one, needs no other memory.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

from infra.aws.names import named
from infra.cloud import deploying
from infra.errors import InputError, SettingsError
from infra.plan import canonical

Found: TypeAlias = dict[str, Any]

SERVING = "TREFOIL_SERVING"
"""How the step deploy is told what endpoints are made of, as JSON."""
SERVER_IMAGE = "TREFOIL_SERVER_IMAGE"
"""And which image serves."""
ENDPOINT, VERSION, CANARY = "trefoil:endpoint", "trefoil:version", "trefoil:canary"
PREVIOUS, PACKAGE = "trefoil:previous", "trefoil:package"
MAIN, BESIDE = "champion", "canary"
"""The variants."""
_MEMORY = range(1024, 6145, 1024)
"""What a serverless endpoint may have, in MB: developer guide, "Serverless endpoint operations"."""


class Serving(NamedTuple):
    """What endpoints are made of; AwsSettings says what each means."""

    region: str
    bucket: str
    prefix: str
    role: str
    kms_key: str
    subnets: tuple[str, ...]
    security_groups: tuple[str, ...]
    tags: Mapping[str, str]
    group: str
    instance_type: str
    instances: int
    requests: int
    memory: int
    concurrency: int
    asynchronous: bool

    def uri(self, *names: str) -> str:
        """Where something lies in the bucket."""
        return "/".join((f"s3://{self.bucket}", self.prefix.strip("/"), *names))

    def tagged(self, **own: str) -> list[dict[str, str]]:
        """The tags of something, ``own`` by the end of their names."""
        found = {f"trefoil:{key}": value for key, value in own.items()} | dict(self.tags)
        return [{"Key": key, "Value": value} for key, value in found.items()]

    def text(self) -> str:
        """As it stands in the environment."""
        return json.dumps(self._asdict())


class Release(NamedTuple):
    """A version of a registered model, and the model of SageMaker's that serves it."""

    model_name: str
    version: str
    model: str = ""


def told_by(environment: Mapping[str, str]) -> Serving:
    """What deploy is told. Raises InputError where it is not."""
    return deploying.told_by(environment, SERVING, Serving, "aws")


def check(serving: Serving, canary: int) -> None:
    """Refuse what SageMaker could not serve. Raises InputError, SettingsError."""
    if not 0 <= canary <= 50:
        raise InputError(f"a canary of {canary} percent is not in 0..50")
    if not serving.role:
        raise SettingsError("an endpoint needs a role: set TREFOIL_SERVING_ROLE_ARN")
    if serving.instance_type:
        return
    if serving.memory not in _MEMORY:
        raise SettingsError(
            f"the setting serving_memory is {serving.memory}; a serverless endpoint has 1024, 2048 "
            "... 6144 MB"
        )
    for wanted, what in (
        (canary, "a canary"),
        (serving.subnets, "a network of yours"),
        (serving.asynchronous, "asynchronous requests"),
    ):
        if wanted:
            raise InputError(
                f"a serverless endpoint has no {what.removeprefix('a ')}; leave it out, or name a "
                "machine by the setting serving_instance_type"
            )


def model(name: str, release: Release, image: str, data: str, serving: Serving) -> Found:
    """CreateModel for one version; the name says what is in it."""
    found: Found = {
        "ExecutionRoleArn": serving.role,
        "PrimaryContainer": container(release, image, data),
    }
    if serving.instance_type:  # a serverless one cannot be kept from the network
        found["EnableNetworkIsolation"] = True
    if serving.subnets:
        found["VpcConfig"] = {
            "Subnets": list(serving.subnets),
            "SecurityGroupIds": list(serving.security_groups),
        }
    return {"ModelName": _digested(name, found), **found}


def container(release: Release, image: str, data: str) -> Found:
    """The image, the archive of the model, and what the server is told of it."""
    return {
        "Image": image,
        "ModelDataUrl": data,
        "Environment": {
            "TREFOIL_MODEL_NAME": release.model_name,
            "TREFOIL_MODEL_VERSION": release.version,
        },
    }


def package(release: Release, image: str, data: str, about: Mapping[str, str], group: str) -> Found:
    """CreateModelPackage: what a person approves, or does not."""
    request: Found = {
        "ModelPackageGroupName": group,
        "ModelPackageDescription": f"{release.model_name} version {release.version}",
        "ModelApprovalStatus": "PendingManualApproval",
        "InferenceSpecification": {
            "Containers": [container(release, image, data)],
            "SupportedContentTypes": ["application/json"],
            "SupportedResponseMIMETypes": ["application/json", "image/png"],
        },
        "CustomerMetadataProperties": dict(about),
    }
    return {**request, "ClientToken": hashlib.sha256(canonical(request)).hexdigest()[:36]}


def configuration(
    name: str, variants: list[Found], tags: Mapping[str, str], serving: Serving
) -> Found:
    """CreateEndpointConfig; ``tags`` say what is served, and what was before."""
    found: Found = {"ProductionVariants": variants}
    if serving.kms_key and serving.instance_type:
        found["KmsKeyId"] = serving.kms_key
    if serving.asynchronous:
        output: Found = {"S3OutputPath": serving.uri("answers", name)}
        if serving.kms_key:
            output["KmsKeyId"] = serving.kms_key
        found["AsyncInferenceConfig"] = {"OutputConfig": output}
    every = {**tags, ENDPOINT: name, **serving.tags}
    return {
        "EndpointConfigName": _digested(name, {**found, "Tags": tags}),
        **found,
        "Tags": [{"Key": key, "Value": value} for key, value in every.items()],
    }


def variant(kind: str, model_name: str, weight: int, serving: Serving) -> Found:
    """One of the models behind an endpoint: its share of the requests, and its machine."""
    found: Found = {"VariantName": kind, "ModelName": model_name}
    if serving.instance_type:
        return found | {
            "InstanceType": serving.instance_type,
            "InitialInstanceCount": 1,
            "InitialVariantWeight": float(weight),
        }
    limits = {"MemorySizeInMB": serving.memory, "MaxConcurrency": serving.concurrency}
    return found | {"ServerlessConfig": limits}


def _digested(name: str, said: Found) -> str:
    return named(name, hashlib.sha256(canonical(said)).hexdigest()[:12])
