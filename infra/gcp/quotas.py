"""What a project may have of machines for training, as Service Usage tells it.

A quota is of accelerators of a kind, or of the processors of machines n1 and e2, in one region;
spot machines have quotas of their own. Names are those that refused jobs quote.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from infra.errors import CredentialsError, InputError, ProviderError
from infra.gcp.jobs import LAUNCHER, POOLS, payload_of
from infra.gcp.machines import OURS
from infra.gcp.session import Gcp

_SERVICE = "aiplatform.googleapis.com"
_FAMILIES = ("n1", "e2")
"""Those whose processors are counted together."""
_UNLIMITED = -1


def wanted(body: Mapping[str, Any]) -> dict[str, int]:
    """By name of a quota, the most that a single job of the body asks for."""
    found: dict[str, int] = {}
    for job in _jobs(body):
        for name, count in _of_job(job["jobSpec"]).items():
            found[name] = max(found.get(name, 0), count)
    for kind, count in _of_steps(body):
        found[kind] = max(found.get(kind, 0), count)
    return found


def limit(gcp: Gcp, name: str) -> int | None:
    """How many the project may have in this region, -1 for any number; None: it is not told.

    Raises TrefoilError where the service does not answer.
    """
    metric = f"{_SERVICE}%2F{name}"
    found = gcp.call_unless(
        "serviceusage", "services.consumerQuotaMetrics.get", f"look at the quota {name}", (404,),
        name=f"projects/{gcp.project}/services/{_SERVICE}/consumerQuotaMetrics/{metric}",
        view="FULL",
    )  # fmt: skip
    buckets = [
        bucket
        for each in (found or {}).get("consumerQuotaLimits", ())
        for bucket in each.get("quotaBuckets", ())
    ]
    here = [each for each in buckets if each.get("dimensions", {}).get("region") == gcp.region]
    everywhere = [each for each in buckets if not each.get("dimensions")]
    limits = [int(each.get("effectiveLimit", 0)) for each in here or everywhere]
    bounded = [each for each in limits if each != _UNLIMITED]
    return min(bounded, default=_UNLIMITED) if limits else None


def short(gcp: Gcp, asked: Mapping[str, int]) -> Iterator[tuple[str, bool, str, bool]]:
    """Each quota that is asked for: its name, whether it suffices, in words, whether it must."""
    for name, count in asked.items():
        try:
            most = limit(gcp, name)
        except (CredentialsError, InputError, ProviderError):
            yield "quota", True, f"{name}, which we may not look at", False
            continue
        if most is None:
            yield "quota", True, f"{name}: not listed", False
            continue
        well = most == _UNLIMITED or most >= count
        told = "without limit" if most == _UNLIMITED else f"{most} in {gcp.region}"
        more = "" if well else f", and the run needs {count}; ask for more at IAM & Admin > Quotas"
        yield "quota", well, f"{name}: {told}{more}", True


def _jobs(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The CustomJobs that the body would start, also from within its pipeline."""
    if "job" in body:
        yield body["job"]
    spec = body.get("pipeline", {}).get("job", {}).get("pipelineSpec", {})
    executors = spec.get("deploymentSpec", {}).get("executors", {})
    for component in spec.get("components", {}).values():
        given = component.get("inputDefinitions", {}).get("parameters", {}).get(POOLS, {})
        container = executors.get(component.get("executorLabel"), {}).get("container", {})
        if given and container.get("image") == LAUNCHER:
            yield payload_of(container, given["defaultValue"])


def _of_job(spec: Mapping[str, Any]) -> dict[str, int]:
    spot = spec.get("scheduling", {}).get("strategy") == "SPOT"
    found: dict[str, int] = {}
    for pool in spec["workerPoolSpecs"]:
        machine, replicas = pool.get("machineSpec", {}), int(pool.get("replicaCount") or 1)
        kind = machine.get("machineType", "")
        processors = re.search(r"-(\d+)$", kind)
        if processors and kind.partition("-")[0] in _FAMILIES:
            name = _called("cpus", spot)
            found[name] = found.get(name, 0) + int(processors[1]) * replicas
        if accelerator := OURS.get(machine.get("acceleratorType", "")):
            name = _called(_gpus(accelerator), spot)
            found[name] = found.get(name, 0) + int(machine["acceleratorCount"]) * replicas
    return found


def _of_steps(body: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """The accelerators of a pipeline's own steps, which are never on spot machines."""
    spec = body.get("pipeline", {}).get("job", {}).get("pipelineSpec", {})
    for executor in spec.get("deploymentSpec", {}).get("executors", {}).values():
        asked = executor.get("container", {}).get("resources", {}).get("accelerator", {})
        if kind := OURS.get(asked.get("type", "")):
            yield _called(_gpus(kind), spot=False), int(asked["count"])


def _gpus(kind: str) -> str:
    return f"nvidia_{kind.lower().replace('-', '_')}_gpus"


def _called(what: str, spot: bool) -> str:
    return f"custom_model_training_{'preemptible_' * spot}{what}"
