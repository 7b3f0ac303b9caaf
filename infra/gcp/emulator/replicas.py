"""What a container of a CustomJob finds: its environment, by Vertex AI's contract.

See https://cloud.google.com/vertex-ai/docs/training/code-requirements#environment-variables and
.../training/distributed-training#cluster-variables.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

_PORT = 2222


class Replica(NamedTuple):
    """One machine of a job: the pool that it is of, and which of the pool's it is."""

    pool: int
    at: int

    @property
    def log(self) -> str:
        """The name of its log."""
        return f"workerpool{self.pool}-{self.at}"


def replicas(spec: Mapping[str, Any]) -> list[Replica]:
    """Every machine that a job asks for."""
    pools = enumerate(spec["workerPoolSpecs"])
    return [
        Replica(at, index)
        for at, pool in pools
        if pool
        for index in range(int(pool["replicaCount"]))
    ]


def environment(
    spec: Mapping[str, Any], name: str, replica: Replica, hosts: list[str]
) -> dict[str, str]:
    """The variables of one container; ``hosts`` are those of all replicas, in their order."""
    pool = spec["workerPoolSpecs"][replica.pool]
    own = {each["name"]: each.get("value", "") for each in pool["containerSpec"].get("env", [])}
    cluster = _cluster(spec, hosts)
    task = {"type": f"workerpool{replica.pool}", "index": replica.at}
    told = {"cluster": cluster, "environment": "cloud", "task": task, "job": json.dumps(spec)}
    found = {
        "CLOUD_ML_JOB_ID": name.rpartition("/")[2],
        "CLUSTER_SPEC": json.dumps(told),
        **_directories(spec),
    }
    if len(spec["workerPoolSpecs"]) > 1:
        found["TF_CONFIG"] = json.dumps(_tensorflow(told))
    return {**found, **own}


def _cluster(spec: Mapping[str, Any], hosts: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for replica, host in zip(replicas(spec), hosts, strict=True):
        found.setdefault(f"workerpool{replica.pool}", []).append(f"{host}:{_PORT}")
    return found


def _tensorflow(told: Mapping[str, Any]) -> dict[str, Any]:
    names = {"workerpool0": "chief", "workerpool1": "worker", "workerpool2": "ps",
             "workerpool3": "evaluator"}  # fmt: skip
    cluster = {names[pool]: hosts for pool, hosts in told["cluster"].items()}
    task = {**told["task"], "type": names[told["task"]["type"]]}
    return {**told, "cluster": cluster, "task": task}


def _directories(spec: Mapping[str, Any]) -> dict[str, str]:
    base = (spec.get("baseOutputDirectory") or {}).get("outputUriPrefix", "").rstrip("/")
    if not base:
        return {}
    return {
        "AIP_MODEL_DIR": f"{base}/model/",
        "AIP_CHECKPOINT_DIR": f"{base}/checkpoints/",
        "AIP_TENSORBOARD_LOG_DIR": f"{base}/logs/",
    }
