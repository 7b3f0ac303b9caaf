"""What Google's reference says of a request and its description does not; a rule a function.

Each gives the path of the fault. Lengths and counts are those of the descriptions' own prose and of
https://cloud.google.com/vertex-ai/docs/reference/rest; machines and accelerators go together as
https://cloud.google.com/vertex-ai/docs/training/configure-compute has it (machines.toml, in code).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from infra.cloud.problems import Problem, shown
from infra.gcp.names import RUN

Request = Mapping[str, Any]
Rule = Callable[[Request], Iterator[Problem]]

_LABEL = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_VALUE = re.compile(r"[a-z0-9_-]{0,63}")
_GS = re.compile(r"gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9](/.*)?")
_IDS = {
    "pipelineJobId": (re.compile(r"[a-z][a-z0-9-]{0,126}"), "1 to 127 of a-z, 0-9 and -"),
    "endpointId": (
        re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?|[1-9][0-9]{0,8}"),
        "63 of a-z, 0-9 and -, a letter first, nor 9 digits",
    ),
}
"""What a person may call something by, where it is a parameter."""
_ACCOUNT = re.compile(r"[a-z0-9-]{6,30}@[a-z0-9.:-]+|\d+-compute@developer\.gserviceaccount\.com")
_NETWORK = re.compile(r"projects/[^/]+/global/networks/[a-z][a-z0-9-]{0,62}")
_KEY = re.compile(r"projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+")
_IMAGE = re.compile(r"[\w.-]+(:\d+)?(/[\w.-]+)*(:[\w][\w.-]{0,127})?(@sha256:[0-9a-f]{64})?")
_MACHINE = re.compile(r"[a-z]\d+[a-z]*-[a-z0-9-]+|cloud-tpu|ct\d[a-z]*-[a-z0-9-]+")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ATTACHED: Mapping[str, Mapping[str, str]] = {
    "a2-highgpu": {"NVIDIA_TESLA_A100": "g"}, "a2-megagpu": {"NVIDIA_TESLA_A100": "g"},
    "a2-ultragpu": {"NVIDIA_A100_80GB": "g"}, "a3-highgpu": {"NVIDIA_H100_80GB": "g"},
    "a3-edgegpu": {"NVIDIA_H100_80GB": "g"}, "a3-megagpu": {"NVIDIA_H100_MEGA_80GB": "g"},
    "a3-ultragpu": {"NVIDIA_H200_141GB": "g"}, "a4-highgpu": {"NVIDIA_B200": "g"},
    "g2-standard": {"NVIDIA_L4": ""},
}  # fmt: skip
"""Families of machines that come with accelerators of one kind, so many as their name says."""
_L4S = {"4": 1, "8": 1, "12": 1, "16": 1, "24": 2, "32": 1, "48": 4, "96": 8}
"""L4s of g2-standard, by its processors."""
_N1 = ("NVIDIA_TESLA_K80", "NVIDIA_TESLA_P100", "NVIDIA_TESLA_V100", "NVIDIA_TESLA_P4",
       "NVIDIA_TESLA_T4")  # fmt: skip
"""Accelerators that are attached to machines of the family n1."""
_COUNTS = (1, 2, 4, 8, 16)
_MOST_NAME, _MOST_LABELS, _MOST_ENV, _LEAST_DISK, _MOST_DISK = 128, 64, 100, 100, 64000


def given(method: str, params: Request) -> Iterator[Problem]:
    """What is wrong with the parameters of a call beyond the description."""
    for name, (pattern, words) in _IDS.items():
        identity = params.get(name)
        if identity is not None and not pattern.fullmatch(str(identity)):
            yield Problem(name, f"is {shown(identity)}, not {words}")
    if method == "endpoints.patch" and "updateMask" in params:
        yield from _masked(str(params["updateMask"]))


def problems(method: str, request: Request) -> Iterator[Problem]:
    """What is wrong beyond the description. The request must have its shapes."""
    for rule in (*_RULES.get(method, ()), *_serving().get(method, ())):
        yield from rule(request)


def _serving() -> Mapping[str, tuple[Rule, ...]]:
    from infra.gcp.serving import rules

    return rules.RULES


def _masked(mask: str) -> Iterator[Problem]:
    from infra.gcp.serving import rules

    return rules.masked(mask)


def named(request: Request) -> Iterator[Problem]:
    """displayName, which may be any text of up to 128 characters."""
    name = request.get("displayName", "")
    if len(name) > _MOST_NAME:
        yield Problem("displayName", f"has {len(name)} characters; the most is {_MOST_NAME}")


def labelled(request: Request) -> Iterator[Problem]:
    """Labels: keys begin with a letter; 63 of a-z, 0-9, _ and -, and 64 of them."""
    labels = request.get("labels") or {}
    if len(labels) > _MOST_LABELS:
        yield Problem("labels", f"are {len(labels)}; the most is {_MOST_LABELS}")
    for key, value in labels.items():
        if not _LABEL.fullmatch(key):
            yield Problem(
                f"labels[{key!r}]", "has a key that is not 1 to 63 of a-z, 0-9, _ and -, a letter "
                "first",
            )  # fmt: skip
        elif not _VALUE.fullmatch(value):
            yield Problem(f"labels[{key!r}]", f"is {shown(value)}, not 63 of a-z, 0-9, _ and -")


def encrypted(request: Request) -> Iterator[Problem]:
    """The name of a key of Cloud KMS."""
    key = (request.get("encryptionSpec") or {}).get("kmsKeyName", "")
    if key and not _KEY.fullmatch(key):
        path = "encryptionSpec.kmsKeyName"
        words = "not projects/PROJECT/locations/REGION/keyRings/RING/cryptoKeys/KEY"
        yield Problem(path, f"is {shown(key)}, {words}")


def bucketed(uri: Any, path: str) -> Iterator[Problem]:
    """An address in Cloud Storage."""
    if isinstance(uri, str) and uri and not _GS.fullmatch(uri):
        yield Problem(path, f"is {shown(uri)}, not gs://BUCKET/PREFIX")


def machine(spec: Request, path: str) -> Iterator[Problem]:
    """A machine, and the accelerators that it may have."""
    kind = spec.get("machineType", "")
    accelerator = spec.get("acceleratorType", "ACCELERATOR_TYPE_UNSPECIFIED")
    count = int(spec.get("acceleratorCount") or 0)
    if not kind:
        yield Problem(f"{path}.machineType", "is missing")
        return
    if not _MACHINE.fullmatch(kind):
        yield Problem(f"{path}.machineType", f"is {shown(kind)}, which is no machine")
        return
    if isinstance(accelerator, int):
        return  # of Google's own client, whose numbers the description does not know
    none = accelerator == "ACCELERATOR_TYPE_UNSPECIFIED"
    if none and count:
        yield Problem(f"{path}.acceleratorType", f"is missing, and acceleratorCount is {count}")
    if not none and not count:
        yield Problem(f"{path}.acceleratorCount", f"is missing, and there is a {accelerator}")
    yield from _pair(kind, "" if none else accelerator, count, path)


def _pair(kind: str, accelerator: str, count: int, path: str) -> Iterator[Problem]:
    family, _, size = kind.rpartition("-")
    own = _ATTACHED.get(family)
    if own:
        (comes_with,) = own
        there = _L4S.get(size) if family == "g2-standard" else _leading(size)
        if accelerator != comes_with:
            what = accelerator or "none"
            words = f"is {what}, and {kind} comes with {comes_with}"
            yield Problem(f"{path}.acceleratorType", words)
        elif there and count != there:
            yield Problem(f"{path}.acceleratorCount", f"is {count}, and {kind} has {there}")
    elif accelerator.startswith("NVIDIA"):
        if accelerator not in _N1 or not kind.startswith("n1-"):
            words = f"is {accelerator}, which cannot be attached to {kind}"
            yield Problem(f"{path}.acceleratorType", words)
        elif count not in _COUNTS:
            yield Problem(f"{path}.acceleratorCount", f"is {count}, none of 1, 2, 4, 8, 16")


def _leading(size: str) -> int | None:
    found = re.match(r"(\d+)g", size)
    return int(found[1]) if found else None


def _job(request: Request) -> Iterator[Problem]:
    yield from job_spec(request["jobSpec"], "jobSpec")


def job_spec(spec: Request, path: str) -> Iterator[Problem]:
    """What a CustomJob is to do; that of a pipeline's step is held against this, too."""
    pools = spec.get("workerPoolSpecs", [])
    if len(pools) > 4:
        yield Problem(f"{path}.workerPoolSpecs", f"are {len(pools)}; the most is 4")
    for at, pool in enumerate(pools):
        yield from _pool(pool, f"{path}.workerPoolSpecs[{at}]", at)
    output = (spec.get("baseOutputDirectory") or {}).get("outputUriPrefix")
    yield from bucketed(output, f"{path}.baseOutputDirectory.outputUriPrefix")
    yield from ground(spec, f"{path}.")
    yield from _scheduled(spec.get("scheduling") or {}, f"{path}.scheduling")


def _pool(pool: Request, path: str, at: int) -> Iterator[Problem]:
    if not pool and at:
        return
    if ("containerSpec" in pool) == ("pythonPackageSpec" in pool):
        yield Problem(path, "takes exactly one of containerSpec, pythonPackageSpec")
    count = int(pool.get("replicaCount") or 0)
    if count < 1:
        told = "replicaCount" in pool
        yield Problem(f"{path}.replicaCount", f"is {count}; it takes 1" if told else "is missing")
    elif at == 0 and count != 1:
        yield Problem(f"{path}.replicaCount", f"is {count}; the first pool has 1, the chief")
    if "machineSpec" not in pool:
        yield Problem(f"{path}.machineSpec", "is missing")
    else:
        yield from machine(pool["machineSpec"], f"{path}.machineSpec")
    size = (pool.get("diskSpec") or {}).get("bootDiskSizeGb")
    if size is not None and not _LEAST_DISK <= size <= _MOST_DISK:
        where = f"{path}.diskSpec.bootDiskSizeGb"
        yield Problem(where, f"is {size}; it lies between {_LEAST_DISK} and {_MOST_DISK}")
    yield from container(pool.get("containerSpec") or {}, f"{path}.containerSpec")


def container(spec: Request, path: str) -> Iterator[Problem]:
    """An image, and the variables that it finds."""
    image = spec.get("imageUri")
    if isinstance(image, str) and not _IMAGE.fullmatch(image):
        words = "not REGISTRY/NAME:TAG or REGISTRY/NAME@sha256:DIGEST"
        yield Problem(f"{path}.imageUri", f"is {shown(image)}, {words}")
    variables = spec.get("env", [])
    if len(variables) > _MOST_ENV:
        yield Problem(f"{path}.env", f"has {len(variables)} variables; the most is {_MOST_ENV}")
    seen: set[str] = set()
    for at, each in enumerate(variables):
        name = each["name"]
        if not _VARIABLE.fullmatch(name):
            yield Problem(
                f"{path}.env[{at}].name", f"is {shown(name)}, which no variable is called"
            )
        elif name in seen:
            yield Problem(f"{path}.env[{at}].name", f"is {name} once more; each is there once")
        seen.add(name)


def ground(spec: Request, under: str = "") -> Iterator[Problem]:
    """Who something runs as, and in which network."""
    account, network = spec.get("serviceAccount", ""), spec.get("network", "")
    if account and not _ACCOUNT.fullmatch(account):
        words = "not NAME@PROJECT.iam.gserviceaccount.com"
        yield Problem(f"{under}serviceAccount", f"is {shown(account)}, {words}")
    if network and not _NETWORK.fullmatch(network):
        words = "not projects/NUMBER/global/networks/NAME"
        yield Problem(f"{under}network", f"is {shown(network)}, {words}")
    if network and spec.get("pscInterfaceConfig"):
        yield Problem(f"{under}pscInterfaceConfig", "cannot be had together with network")


def _scheduled(given: Request, path: str) -> Iterator[Problem]:
    for name in ("timeout", "maxWaitDuration"):
        if str(given.get(name, "")).startswith("-"):
            yield Problem(f"{path}.{name}", f"is {given[name]}, before it begins")
    if given.get("timeout") == "0s":
        yield Problem(f"{path}.timeout", "is 0s: it would be ended at once")
    if given.get("maxWaitDuration") and given.get("strategy") not in ("FLEX_START", 6):
        yield Problem(f"{path}.maxWaitDuration", "is for the strategy FLEX_START only")
    if given.get("disableRetries") and given.get("restartJobOnWorkerRestart"):
        yield Problem(f"{path}.restartJobOnWorkerRestart", "has no effect with disableRetries")


def _pipeline(request: Request) -> Iterator[Problem]:
    yield from ground(request)
    if not request.get("pipelineSpec") and not request.get("templateUri"):
        yield Problem("pipelineSpec", "or templateUri is given, one of them")
    runtime = request.get("runtimeConfig")
    if runtime is None:
        yield Problem("runtimeConfig", "is missing")
        return
    yield from bucketed(runtime.get("gcsOutputDirectory"), "runtimeConfig.gcsOutputDirectory")
    if runtime.get("parameters") and runtime.get("parameterValues"):
        yield Problem(
            "runtimeConfig.parameters", "are given in two ways; parameterValues is enough"
        )


def _not_reserved(request: Request) -> Iterator[Problem]:
    for key in request.get("labels") or {}:
        if key.startswith(("goog-", "vertex-ai-pipelines-run-billing-id")):
            yield Problem(f"labels[{key!r}]", "is a label of Google's own")
        elif key == RUN and not request["labels"][key]:
            yield Problem(f"labels[{key!r}]", "is empty, and by it a run is found again")


_RULES: Mapping[str, tuple[Rule, ...]] = {
    "customJobs.create": (named, labelled, _not_reserved, encrypted, _job),
    "pipelineJobs.create": (named, labelled, _not_reserved, encrypted, _pipeline),
}
