"""Azure Machine Learning.

lower.py       the Plan as a pipelineJob of the CLI, of jobs.py (a step's node) and costs.py
validate.py    bodies held against the published model, with rules.py and graph.py
client.py      the verbs: sending.py, looking.py, logs.py, stopping.py, reaping.py
endpoint.py    the verbs of endpoints, of what is in serving/
session.py     the way to Azure, by azure-ai-ml   store.py       the container, as a Store
arm.py         its REST interface, for endpoints
preflight.py   what is looked at before a run     errors.py      what Azure answers, in words
emulator/      what stands in for Azure in a rehearsal
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from infra.provider import WORKSPACE, Provider

_NONE: Mapping[str, str] = {}
_NO_PRICES: Mapping[str, float] = {}
_NOTHING: Mapping[str, Mapping[str, object]] = {}


class AzureSettings(NamedTuple):
    """Settings of runs on Azure ML; ``terraform output -json settings`` gives an account's.

    ``ml_workspace`` is the Azure ML workspace in ``resource_group`` of ``subscription``. Everything
    of a run lies under ``prefix`` in the blob ``container`` of ``storage_account``, which the
    workspace knows as the datastore ``datastore``. ``identity`` is the client id of the managed
    identity that jobs have, ``step_identities`` that of a step that may do something else, as
    deploy does, and ``serving_identity`` the resource id of that of the endpoints it makes.

    Our images are ``registry``/NAME:``image_tag``, the tag of this code where it is empty;
    ``images`` says what to run instead of a name in the pipeline. ``compute`` is a cluster of the
    workspace, ``spot_compute`` one of low priority, their machines of ``instance_type``. A step
    that asks for other machines, and every step where they are empty, runs on serverless ones.

    A step without a timeout is ended after ``max_runtime`` seconds. ``overrides`` is laid over each
    node of the pipeline by the name of its step, ``*`` for all. ``prices`` are your own, US dollars
    an hour by the type of machine: they go over those of ``infra/machines.toml``. ``poll`` is the
    most seconds that pass between two looks at a run.

    An endpoint has ``serving_instances`` machines of ``serving_instance_type``, each of which takes
    ``serving_requests`` at once; more and fewer of them is Azure Monitor's, which terraform sets
    up. With ``serving_mirror`` a canary gets copies of its share, and its answers go nowhere.
    """

    workspace: str = WORKSPACE
    subscription: str = ""
    resource_group: str = ""
    ml_workspace: str = ""
    region: str = ""
    storage_account: str = ""
    container: str = ""
    datastore: str = ""
    prefix: str = "trefoil"
    identity: str = ""
    serving_identity: str = ""
    step_identities: Mapping[str, str] = _NONE
    registry: str = ""
    image_tag: str = ""
    images: Mapping[str, str] = _NONE
    tracking_uri: str = "none"
    experiment: str = "trefoil"
    tags: Mapping[str, str] = _NONE
    compute: str = ""
    spot_compute: str = ""
    instance_type: str = "Standard_DS3_v2"
    max_runtime: int = 86400
    overrides: Mapping[str, Mapping[str, object]] = _NOTHING
    prices: Mapping[str, float] = _NO_PRICES
    poll: float = 15.0
    serving_instance_type: str = "Standard_DS3_v2"
    serving_instances: int = 1
    serving_requests: int = 16
    serving_mirror: bool = False


PROVIDER = Provider(
    name="azure",
    summary="Azure Machine Learning",
    settings=AzureSettings,
    missing={},
)
