"""What Google's reference says of requests for endpoints and its description does not.

A rule a function; each gives the path of the fault. Most are in the prose of the description, the
others of https://cloud.google.com/vertex-ai/docs/predictions (custom-container-requirements,
using-private-endpoints) and .../docs/model-registry/versioning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from infra.cloud.problems import Problem, shown
from infra.gcp.rules import (
    Request,
    Rule,
    bucketed,
    container,
    encrypted,
    ground,
    labelled,
    machine,
    named,
)

_MODEL_ID = re.compile(r"[a-z_][a-z0-9_-]{0,62}")
_MODEL = re.compile(r"projects/[^/]+/locations/[^/]+/models/[^/@]+")
_VERSIONED = re.compile(rf"{_MODEL.pattern}(@[a-z0-9-]+)?")
_ALIAS = re.compile(r"[a-z][a-zA-Z0-9-]{0,126}[a-z0-9]")
_DEPLOYED = re.compile(r"[0-9]+")
_ASKED = re.compile(r"[0-9]{1,10}")
"""An id that is asked for; those that Vertex AI gives have more digits."""
_REGISTRY = re.compile(r"([a-z0-9-]+-docker\.pkg\.dev|([a-z]+\.)?gcr\.io)/")
_ROUTE = re.compile(r"/[^\s?#]*")
_PROBES = ("exec", "httpGet", "grpc", "tcpSocket")
_KINDS = ("dedicatedResources", "automaticResources", "sharedResources")
_ONLINE = "aiplatform.googleapis.com/prediction/online/"
_PERCENT = (f"{_ONLINE}accelerator/duty_cycle", f"{_ONLINE}cpu/utilization")
_METRICS = (
    *_PERCENT, f"{_ONLINE}request_count",
    "pubsub.googleapis.com/subscription/num_undelivered_messages",
    "prometheus.googleapis.com/vertex_dcgm_fi_dev_gpu_util",
    "prometheus.googleapis.com/vertex_vllm_gpu_cache_usage_perc",
    "prometheus.googleapis.com/vertex_vllm_num_requests_waiting",
)  # fmt: skip
_MUTABLE = (
    "dedicatedResources.minReplicaCount", "dedicatedResources.maxReplicaCount",
    "dedicatedResources.requiredReplicaCount", "dedicatedResources.autoscalingMetricSpecs",
    "automaticResources.minReplicaCount", "automaticResources.maxReplicaCount",
    "autoscalingMetricSpecs", "disableContainerLogging",
)  # fmt: skip
_PATCHED = (
    "displayName", "description", "labels", "trafficSplit", "predictRequestResponseLoggingConfig",
    "clientConnectionConfig",
)  # fmt: skip
_INPUTS = ("jsonl", "csv", "tf-record", "tf-record-gzip", "bigquery", "file-list")
_OUTPUTS = ("jsonl", "csv", "bigquery")
_LONGEST_DEPLOYMENT = 7200.0


def _uploaded(request: Request) -> Iterator[Problem]:
    name, parent = request.get("modelId", ""), request.get("parentModel", "")
    if name and parent:
        yield Problem("modelId", "names a new model, and parentModel one that there is; take one")
    if name and not _MODEL_ID.fullmatch(name):
        words = "not 63 of a-z, 0-9, _ and -, a letter or _ first"
        yield Problem("modelId", f"is {shown(name)}, {words}")
    if parent and not _MODEL.fullmatch(parent):
        words = "not projects/PROJECT/locations/REGION/models/MODEL"
        yield Problem("parentModel", f"is {shown(parent)}, {words}")
    model = request["model"]
    for rule in (named, labelled, encrypted):
        for each in rule(model):
            yield Problem(f"model.{each.path}", each.words)
    yield from _aliases(model.get("versionAliases", ()), "model.versionAliases")
    yield from bucketed(model.get("artifactUri"), "model.artifactUri")
    if spec := model.get("containerSpec"):
        yield from _serves(spec, "model.containerSpec")


def _serves(spec: Request, path: str) -> Iterator[Problem]:
    yield from container(spec, path)
    if not _REGISTRY.match(spec["imageUri"]):
        words = "is in no Artifact Registry, and Vertex AI serves from there alone"
        yield Problem(f"{path}.imageUri", words)
    for at, each in enumerate(spec.get("ports", ())):
        yield from _port(each.get("containerPort"), f"{path}.ports[{at}].containerPort")
    for name in ("predictRoute", "healthRoute"):
        route = spec.get(name)
        if route is not None and not _ROUTE.fullmatch(route):
            yield Problem(f"{path}.{name}", f"is {shown(route)}, and a path begins with /")
    prefix = spec.get("invokeRoutePrefix")
    if prefix is not None and prefix != "/*":
        yield Problem(f"{path}.invokeRoutePrefix", f"is {shown(prefix)}; it takes /* alone")
    if prefix is not None and spec.get("predictRoute"):
        yield Problem(f"{path}.invokeRoutePrefix", "cannot be had together with predictRoute")
    if float(str(spec.get("deploymentTimeout", "0s")).rstrip("s")) > _LONGEST_DEPLOYMENT:
        yield Problem(f"{path}.deploymentTimeout", "is more than two hours")
    for name in ("startupProbe", "healthProbe", "livenessProbe"):
        probe = spec.get(name)
        if probe is not None and sum(kind in probe for kind in _PROBES) > 1:
            yield Problem(f"{path}.{name}", f"takes one of {', '.join(_PROBES)}")


def _port(port: Any, path: str) -> Iterator[Problem]:
    if not isinstance(port, int) or not 1 <= port <= 65535:
        yield Problem(path, f"is {port}, which is no port")


def _aliases(aliases: Any, path: str) -> Iterator[Problem]:
    for at, alias in enumerate(aliases):
        if not _ALIAS.fullmatch(alias):
            words = "not 2 to 128 of a-z, A-Z, 0-9 and -, a-z first"
            yield Problem(f"{path}[{at}]", f"is {shown(alias)}, {words}")
        elif alias in aliases[:at]:
            yield Problem(f"{path}[{at}]", f"is {alias} once more")


def _merged(request: Request) -> Iterator[Problem]:
    given = [alias.removeprefix("-") for alias in request["versionAliases"]]
    yield from _aliases(given, "versionAliases")


def _endpoint(request: Request) -> Iterator[Problem]:
    yield from ground(request)
    if request.get("network") and request.get("privateServiceConnectConfig"):
        yield Problem("privateServiceConnectConfig", "cannot be had together with network")
    if request.get("network") and request.get("dedicatedEndpointEnabled"):
        yield Problem("dedicatedEndpointEnabled", "cannot be had together with network")


def _new_endpoint(request: Request) -> Iterator[Problem]:
    if request.get("trafficSplit"):
        yield Problem("trafficSplit", "names what is deployed, and nothing is deployed yet")


def _patched(request: Request) -> Iterator[Problem]:
    yield from _split(request.get("trafficSplit"), "trafficSplit")


def _split(split: Any, path: str, new: bool = False) -> Iterator[Problem]:
    """Percent by what is deployed; "0" is what is being deployed."""
    if not split:
        return
    for name, share in split.items():
        if not _DEPLOYED.fullmatch(name) or (name == "0" and not new):
            yield Problem(f"{path}[{name!r}]", "is of nothing deployed: an id has digits alone")
        if not 0 <= share <= 100:
            yield Problem(f"{path}[{name!r}]", f"is {share} percent")
    if sum(split.values()) != 100:
        yield Problem(path, f"adds up to {sum(split.values())} percent, not 100")


def _deployed(request: Request) -> Iterator[Problem]:
    yield from _split(request.get("trafficSplit"), "trafficSplit", new=True)
    given, path = request["deployedModel"], "deployedModel"
    for each in named(given):
        yield Problem(f"{path}.{each.path}", each.words)
    yield from ground(given, f"{path}.")
    name, model = given.get("id", ""), given.get("model", "")
    if name and not _ASKED.fullmatch(name):
        yield Problem(f"{path}.id", f"is {shown(name)}, not 1 to 10 digits")
    if not _VERSIONED.fullmatch(model):
        words = "not projects/PROJECT/locations/REGION/models/MODEL@VERSION"
        yield Problem(f"{path}.model", f"is {shown(model)}, {words}" if model else "is missing")
    if sum(bool(given.get(kind)) for kind in _KINDS) != 1:
        yield Problem(path, f"takes exactly one of {', '.join(_KINDS)}")
    if resources := given.get("dedicatedResources"):
        yield from machine(resources["machineSpec"], f"{path}.dedicatedResources.machineSpec")
        yield from _replicas(resources, f"{path}.dedicatedResources")


def _replicas(given: Request, path: str) -> Iterator[Problem]:
    least, most = given.get("minReplicaCount", 0), given.get("maxReplicaCount")
    if least < 1:
        yield Problem(f"{path}.minReplicaCount", f"is {least}; the least is 1")
    if most is not None and most < least:
        yield Problem(f"{path}.maxReplicaCount", f"is {most}, less than minReplicaCount")
    seen: set[str] = set()
    for at, each in enumerate(given.get("autoscalingMetricSpecs", ())):
        name, where = each["metricName"], f"{path}.autoscalingMetricSpecs[{at}]"
        target = each.get("target", 60)
        if name not in _METRICS:
            yield Problem(f"{where}.metricName", f"is {shown(name)}, by which nothing is scaled")
        elif name in seen:
            yield Problem(f"{where}.metricName", f"is {name} once more")
        elif name == _PERCENT[0] and not (given.get("machineSpec") or {}).get("acceleratorCount"):
            yield Problem(f"{where}.metricName", "is of accelerators, and there are none")
        if target < 1 or (name in _PERCENT and target > 100):
            yield Problem(f"{where}.target", f"is {target}; it lies between 1 and 100 percent")
        seen.add(name)


def _mutated(request: Request) -> Iterator[Problem]:
    given = request["deployedModel"]
    if not _DEPLOYED.fullmatch(given.get("id", "")):
        yield Problem("deployedModel.id", "is not that of anything deployed")
    for path in request["updateMask"].split(","):
        if path not in _MUTABLE:
            yield Problem("updateMask", f"has {shown(path)}, which cannot be changed")
    if resources := given.get("dedicatedResources"):
        yield from _replicas(resources, "deployedModel.dedicatedResources")


def _undeployed(request: Request) -> Iterator[Problem]:
    name, split = request["deployedModelId"], request.get("trafficSplit") or {}
    yield from _split(split, "trafficSplit")
    if split.get(name):
        yield Problem(f"trafficSplit[{name!r}]", "is a share for what is being undeployed")


def _batch(request: Request) -> Iterator[Problem]:
    whose = ("model", "unmanagedContainerModel", "endpoint")
    if sum(bool(request.get(name)) for name in whose) != 1:
        yield Problem("", f"takes exactly one of {', '.join(whose)}")
    model = request.get("model", "")
    if model and not _VERSIONED.fullmatch(model) and not model.startswith("publishers/"):
        yield Problem("model", f"is {shown(model)}, which is the name of no model")
    yield from ground(request)
    source, target = request["inputConfig"], request["outputConfig"]
    yield from _known(source["instancesFormat"], _INPUTS, "inputConfig.instancesFormat")
    yield from _known(target["predictionsFormat"], _OUTPUTS, "outputConfig.predictionsFormat")
    for name, given, ends in (("inputConfig", source, "Source"), ("outputConfig", target, "Dest")):
        if sum(ends in key for key in given) != 1:
            yield Problem(name, "takes exactly one place, in Cloud Storage or in BigQuery")
    for at, uri in enumerate((source.get("gcsSource") or {}).get("uris", ())):
        yield from bucketed(uri.partition("*")[0], f"inputConfig.gcsSource.uris[{at}]")
    prefix = (target.get("gcsDestination") or {}).get("outputUriPrefix")
    yield from bucketed(prefix, "outputConfig.gcsDestination.outputUriPrefix")
    if resources := request.get("dedicatedResources"):
        yield from machine(resources["machineSpec"], "dedicatedResources.machineSpec")
        first, most = resources.get("startingReplicaCount", 1), resources.get("maxReplicaCount", 10)
        if first > most:
            where = "dedicatedResources.startingReplicaCount"
            yield Problem(where, f"is {first}, more than maxReplicaCount, which is {most}")


def _known(value: str, known: tuple[str, ...], path: str) -> Iterator[Problem]:
    if value not in known:
        yield Problem(path, f"is {shown(value)}, none of {', '.join(known)}")


def masked(mask: str) -> Iterator[Problem]:
    """The updateMask of an endpoint's patch, a parameter."""
    for path in mask.split(","):
        if path.partition(".")[0] not in _PATCHED:
            yield Problem("updateMask", f"has {shown(path)}, which cannot be changed")


RULES: Mapping[str, tuple[Rule, ...]] = {
    "models.upload": (_uploaded,),
    "models.mergeVersionAliases": (_merged,),
    "endpoints.create": (named, labelled, encrypted, _endpoint, _new_endpoint),
    "endpoints.patch": (named, labelled, _endpoint, _patched),
    "endpoints.deployModel": (_deployed,),
    "endpoints.mutateDeployedModel": (_mutated,),
    "endpoints.undeployModel": (_undeployed,),
    "batchPredictionJobs.create": (named, labelled, encrypted, _batch),
}
