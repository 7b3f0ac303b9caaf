"""Amazon SageMaker.

lower.py       the Plan as requests, of jobs.py (a step's job), conditions.py and costs.py
validate.py    requests held against SageMaker's own model, with rules.py and definition.py
client.py      the verbs: sending.py, looking.py (of described.py), logs.py, stopping.py,
               reaping.py; handlers.py starts exit handlers
endpoint.py    the verbs of endpoints, of what is in serving/
session.py     the way to AWS, by boto3           store.py       objects of S3
preflight.py   what is looked at before a run     errors.py      what AWS answers, in words
emulator/      what stands in for AWS in a rehearsal

What is not SageMaker's own is in infra/cloud, which other clouds share.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from infra.provider import WORKSPACE, Provider

_NONE: Mapping[str, str] = {}
_NO_PRICES: Mapping[str, float] = {}
_NOTHING: Mapping[str, Mapping[str, object]] = {}


class AwsSettings(NamedTuple):
    """Settings of runs on SageMaker; ``terraform output -json settings`` gives those of an account.

    Everything of a run lies under s3://``bucket``/``prefix``. ``pipeline_role_arn`` is whose right
    it is to start jobs, ``training_role_arn`` what the jobs themselves may do; ``step_roles`` has
    the role of a step that may do something else, as deploy does, and ``serving_role_arn`` is that
    of the models which it serves.

    Our images are ``registry``/NAME:``image_tag``, the tag of this code where it is empty;
    ``images`` says what to run instead of a name in the pipeline. ``instance_type`` is for steps
    that ask for nothing, ``volume_gb`` the disk of each machine.

    A step without a timeout is ended after ``max_runtime`` seconds; on spot machines it waits
    and runs ``spot_wait`` times as long at most. ``keep_alive`` keeps a training machine warm for
    the next job, in seconds. ``overrides`` is laid over each job's request, by its operation.
    ``prices`` are your own, US dollars an hour by the type of machine: they go over those of
    ``infra/machines.toml``. ``poll`` is the most seconds that pass between two looks at a run.

    An endpoint is serverless, with ``serving_memory`` MB and at most ``serving_concurrency``
    requests at once, unless ``serving_instance_type`` names a machine: then there are up to
    ``serving_instances`` of them, one for each ``serving_requests`` a minute, and ``serving_async``
    has requests and answers lie in the bucket. Each version becomes a package of
    ``model_package_group``, where one is named.
    """

    workspace: str = WORKSPACE
    region: str = ""
    bucket: str = ""
    prefix: str = "trefoil"
    pipeline_role_arn: str = ""
    training_role_arn: str = ""
    serving_role_arn: str = ""
    step_roles: Mapping[str, str] = _NONE
    registry: str = ""
    image_tag: str = ""
    images: Mapping[str, str] = _NONE
    tracking_uri: str = "none"
    experiment: str = "trefoil"
    model_package_group: str = ""
    kms_key: str = ""
    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    tags: Mapping[str, str] = _NONE
    instance_type: str = "ml.m5.large"
    volume_gb: int = 30
    max_runtime: int = 86400
    spot_wait: float = 2.0
    keep_alive: int = 0
    prices: Mapping[str, float] = _NO_PRICES
    serving_instance_type: str = ""
    serving_instances: int = 1
    serving_requests: int = 600
    serving_memory: int = 2048
    serving_concurrency: int = 5
    serving_async: bool = False
    overrides: Mapping[str, Mapping[str, object]] = _NOTHING
    poll: float = 15.0


PROVIDER = Provider(
    name="aws",
    summary="Amazon SageMaker",
    settings=AwsSettings,
    missing={},
)
