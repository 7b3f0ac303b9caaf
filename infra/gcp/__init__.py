"""Google Vertex AI.

lower.py       the Plan as a PipelineJob (of infra/ir/spec.py), or as one CustomJob
jobs.py        a step as a CustomJob, alone or in the pipeline; entry.py becomes it there
validate.py    requests held against Google's own description, with rules.py and pipeline.py
client.py      the verbs: sending.py (of making.py), looking.py (of described.py), logs.py,
               outputs.py, stopping.py, reaping.py
endpoint.py    the verbs of endpoints, of what is in serving/
session.py     the way to Google Cloud, by its discovery client; store.py is its buckets
preflight.py   what is looked at before a run, with quotas.py
errors.py      what Google answers, in words
machines.py    which machine a step gets          costs.py       what it costs at most
names.py       names and labels
emulator/      what stands in for Google Cloud in a rehearsal
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from infra.provider import WORKSPACE, Provider

_NONE: Mapping[str, str] = {}
_NO_PRICES: Mapping[str, float] = {}
_NOTHING: Mapping[str, Mapping[str, object]] = {}


class GcpSettings(NamedTuple):
    """Settings of runs on Vertex AI; ``terraform output -json settings`` gives those of a project.

    Everything of a run lies under gs://``bucket``/``prefix``. ``service_account`` is what steps
    may do; ``step_accounts`` has that of a step that may do something else, which it can have only
    as a custom job, and ``serving_service_account`` is that of the models that are served.

    Our images are ``registry``/NAME:``image_tag``, the tag of this code where it is empty;
    ``images`` says what to run instead of a name in the pipeline. ``machine_type`` is for custom
    jobs that ask for nothing, ``disk_gb`` the disk of each of their machines.

    A step without a timeout is ended after ``max_runtime`` seconds where it is a custom job, and
    counts with as much where a run's price is told. ``overrides`` is laid over what is sent, by
    PipelineJob and CustomJob. ``prices`` are your own, US dollars an hour by the type of machine,
    and go over those of ``infra/machines.toml``. ``poll`` is the most seconds between two looks.

    An endpoint has ``serving_machine_type`` with up to ``serving_instances`` of them, one for each
    ``serving_requests`` a minute, with ``serving_accelerator`` (L4, L4:2), on ``serving_spot``
    machines, and is reached from ``serving_private_network`` alone where one is named.
    """

    workspace: str = WORKSPACE
    project: str = ""
    region: str = ""
    bucket: str = ""
    prefix: str = "trefoil"
    service_account: str = ""
    serving_service_account: str = ""
    step_accounts: Mapping[str, str] = _NONE
    registry: str = ""
    image_tag: str = ""
    images: Mapping[str, str] = _NONE
    tracking_uri: str = "none"
    experiment: str = "trefoil"
    kms_key: str = ""
    network: str = ""
    labels: Mapping[str, str] = _NONE
    machine_type: str = "n1-standard-4"
    disk_gb: int = 100
    max_runtime: int = 86400
    overrides: Mapping[str, Mapping[str, object]] = _NOTHING
    prices: Mapping[str, float] = _NO_PRICES
    poll: float = 15.0
    serving_machine_type: str = "n1-standard-2"
    serving_instances: int = 1
    serving_requests: int = 600
    serving_accelerator: str = ""
    serving_spot: bool = False
    serving_private_network: str = ""


PROVIDER = Provider(
    name="gcp",
    summary="Google Vertex AI",
    settings=GcpSettings,
    missing={},
)
