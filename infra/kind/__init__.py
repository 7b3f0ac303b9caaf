"""Kubeflow Pipelines, as ``python -m pipelines cluster up`` puts it on a kind cluster.

lower.py     the Plan as the run that is posted, of infra/ir/spec.py and pods.py (its Kubernetes)
jobs.py      a step on several nodes: a Job of job_manifests.py, which following.py follows
client.py    the verbs, through kfp.Client
emulator.py  what stands in for Kubeflow Pipelines in a rehearsal
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from infra.provider import WORKSPACE, Provider

_NONE: Mapping[str, Any] = {}


SERVING = {"trefoil-trainer": "TREFOIL_TRAINER_IMAGE", "trefoil-server": "TREFOIL_SERVER_IMAGE"}
"""How the step deploy is told which images an endpoint is made of."""
FETCHING = "TREFOIL_FETCHING"
"""How it is told what an endpoint's pods reach the registry by: {variable: SECRET/KEY} as JSON."""


class KindSettings(NamedTuple):
    """Settings of runs on Kubeflow Pipelines.

    ``host`` is where its page is served, ``namespace`` where its steps run. MLflow has two
    addresses: ``tracking_uri`` as this machine sees it and ``step_tracking_uri`` as steps do; an
    MLflow that is not on this machine needs only the first.

    Our images are ``registry``/NAME:``image_tag``: those in the node, and the tag of this code,
    where these are empty; only then are steps told a commit. ``images`` says what to run instead
    of a name in the pipeline.

    For every step: ``secrets`` maps an environment variable to SECRET/KEY, ``claims`` a volume
    claim to where it is mounted, ``shm`` is the size of /dev/shm. ``overrides`` is laid over the
    request as it is. What reaches MLflow and its store (MLFLOW_TRACKING_PASSWORD, AWS_...) is a
    secret, too, and then also of whoever fetches a model that is to be served.

    A step on several nodes shares the claim ``work_claim`` with its pods; one that is tried again
    keeps checkpoints there. Empty, it begins anew each time.

    A step that has not started ``start_deadline`` seconds after it could have is given up.
    ``poll`` is how many seconds pass between two looks at a run.
    """

    workspace: str = WORKSPACE
    host: str = "http://127.0.0.1:8080"
    namespace: str = "kubeflow"
    experiment: str = "trefoil"
    tracking_uri: str = "http://127.0.0.1:5000"
    step_tracking_uri: str = "http://mlflow.kubeflow:5000"
    registry: str = ""
    image_tag: str = ""
    images: Mapping[str, str] = _NONE
    pull_policy: Literal["IfNotPresent", "Always", "Never"] = "IfNotPresent"
    shm: str = "1g"
    work_claim: str = "trefoil-work"
    secrets: Mapping[str, str] = _NONE
    claims: Mapping[str, str] = _NONE
    node_selector: Mapping[str, str] = _NONE
    tolerations: tuple[Mapping[str, Any], ...] = ()
    gpu_resource: str = "nvidia.com/gpu"
    overrides: Mapping[str, Any] = _NONE
    start_deadline: float = 600.0
    poll: float = 2.0


PROVIDER = Provider(
    name="kind",
    summary="Kubeflow Pipelines on a kind cluster",
    settings=KindSettings,
    missing={
        "spot": "the nodes of a kind cluster are containers on your machine; leave --spot out",
    },
)
