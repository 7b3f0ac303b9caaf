"""``cluster status``: the node, each Deployment that a run needs, versions, and our images."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from infra.kind.cluster import NAMESPACE, NEEDED, apply, images, tools, waiting
from infra.kind.cluster import node as nodes
from infra.kind.cluster.node import Node


class Deployed(NamedTuple):
    """One Deployment: whether it is ready, its image, and otherwise why it is not."""

    name: str
    ready: bool
    image: str
    words: str


class Status(NamedTuple):
    """The cluster as it is now. ``kubernetes`` and ``pipelines`` are versions of servers."""

    node: Node
    deployments: list[Deployed]
    kubernetes: str
    pipelines: str
    images: list[str]

    @property
    def ready(self) -> bool:
        """Whether a run can be sent."""
        return self.node.running and all(each.ready for each in self.deployments)


def status() -> Status | None:
    """Look at the cluster; None where there is none. Raises ProviderError."""
    found = nodes.find()
    if found is None:
        return None
    if not found.running:
        return Status(found, [], "", "", [])
    deployments = list(_deployed())
    pipelines = next((each.image for each in deployments if each.name == "ml-pipeline"), "")
    version = json.loads(tools.kubectl("version", "--output=json", timeout=20))
    return Status(
        node=found,
        deployments=deployments,
        kubernetes=version["serverVersion"]["gitVersion"],
        pipelines=pipelines.rpartition(":")[2],
        images=images.ours(),
    )


def _deployed() -> Iterator[Deployed]:
    found = tools.kubectl("get", "deployments", "-n", NAMESPACE, "-o", "json")
    there = {each["metadata"]["name"]: each for each in json.loads(found)["items"]}
    postgres = [apply.POSTGRES] if apply.POSTGRES in there else []
    for name in (*NEEDED, *postgres, "mlflow"):
        if name not in there:
            yield Deployed(name, False, "", "is not there; python -m pipelines cluster up")
            continue
        image = there[name]["spec"]["template"]["spec"]["containers"][0]["image"]
        ready = _is_ready(there[name])
        yield Deployed(name, ready, image, "" if ready else waiting.reason(f"deployment/{name}"))


def _is_ready(deployment: Mapping[str, Any]) -> bool:
    now, wanted = deployment.get("status", {}), deployment["spec"].get("replicas", 1)
    seen = now.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    available: bool = now.get("availableReplicas", 0) >= wanted
    return seen and available
