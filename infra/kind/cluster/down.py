"""``cluster down``: the whole cluster, and everything that only it has."""

from __future__ import annotations

from infra.kind.cluster import NAME, tools
from infra.kind.cluster import node as nodes
from infra.kind.cluster.tools import Say

LOST = (
    "every run of Kubeflow Pipelines and its artefacts",
    "MLflow's runs, models and registry",
    "what is being served in the cluster",
)
KEPT = "the data folder, and the images in Docker"


def there() -> bool:
    """Whether there is a cluster, running or not. Raises ProviderError."""
    return nodes.find() is not None


def down(say: Say) -> None:
    """Delete the cluster. Raises ToolFailed."""
    say(f"▶ kind deletes the cluster {NAME}")
    tools.follow("kind", "delete", "cluster", "--name", NAME, timeout=300, say=say)
