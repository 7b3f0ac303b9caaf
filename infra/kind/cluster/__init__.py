"""The kind cluster behind ``python -m pipelines cluster``: one node, made and unmade as a whole.

checks.py     what this machine must have, each line with what to do
node.py       the node: made from manifests/kind.yaml, read back from Docker
up.py         checks, node, Kubeflow Pipelines, our own manifests, images, and the wait
waiting.py    until the named Deployments are ready, or why they are not
status.py     how all of it is        down.py   its end
tools.py      every call of kind and kubectl, with a limit in time
rules.py      what our manifests keep to, asked before they are applied
manifests/    data: the cluster, upstream pinned by tag, and what is ours
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

NAME = "trefoil"
NODE = f"{NAME}-control-plane"
CONTEXT = f"kind-{NAME}"
NAMESPACE = "kubeflow"
MANIFESTS = Path(__file__).parent / "manifests"

PIPELINES = "2.17.0"
"""The release of Kubeflow Pipelines; manifests/pipelines name the same tag."""
UI_NODE_PORT, MLFLOW_NODE_PORT = 30300, 30500
UI_PORT, MLFLOW_PORT = 8080, 5000
MLFLOW_URI = f"http://mlflow.{NAMESPACE}:5000"
"""Where steps in the cluster reach MLflow."""

NEEDED = (
    "mysql",
    "seaweedfs",
    "metadata-grpc-deployment",
    "workflow-controller",
    "ml-pipeline",
    "ml-pipeline-persistenceagent",
    "ml-pipeline-scheduledworkflow",
    "ml-pipeline-ui",
)
"""The Deployments of Kubeflow Pipelines without which no run works, in the order they need each
other. Its others (viewers, the cache of its first version, writers of old metadata) may lag."""


class Options(NamedTuple):
    """What a person may choose; None is the default, or what the cluster has already.

    ``manifests`` is a local copy of upstream's folder manifests/kustomize, for a machine that
    reaches no GitHub. ``minutes`` is how long the Deployments may take.
    """

    data: str | None = None
    ui_port: int | None = None
    mlflow_port: int | None = None
    postgres: bool = False
    gpu: bool = False
    mlflow_image: str = ""
    manifests: str = ""
    minutes: float = 15.0
