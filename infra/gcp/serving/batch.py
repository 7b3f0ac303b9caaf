"""A file of requests answered by a version, without an endpoint: a batch prediction job.

    predict(at, version, "gs://BUCKET/in/*.jsonl", name="night") -> Answers

Each line of the input is an instance, as an endpoint takes it; each line of the answers has it and
its prediction. The job is called by what it is asked, so that asking once more finds it.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from infra.errors import ProviderError
from infra.gcp import errors
from infra.gcp.names import label
from infra.gcp.serving import requests
from infra.gcp.serving.requests import Found, Version
from infra.gcp.serving.state import At
from infra.gcp.session import required
from infra.plan import canonical

_ASKED = "trefoil-batch"
_OVER = {f"JOB_STATE_{each}" for each in ("SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED")}
_PAUSE = 0.2
_LONGEST_WAIT = 15.0
"""Seconds between two looks: at first, and at most."""


class Answers(NamedTuple):
    """Where the answers lie, and how many instances got one, and how many an error."""

    uri: str
    good: int
    bad: int


def predict(
    at: At, version: Version, source: str, parameters: Mapping[str, Any] | None = None
) -> Answers:
    """Have a version answer what lies at ``source``, and wait for it. Raises TrefoilError.

    A job of the same that goes on, or went well, is not started again. Two who ask at the same
    moment may both start one.
    """
    given = dict(parameters or {})
    digest = hashlib.sha256(canonical([version.label(), source, given])).hexdigest()[:12]
    name = label(f"{version.model}-{version.number}-{digest}")
    doing = f"predict what lies at {source}"
    job = _there(at, name, doing)
    if job is None:
        body = requests.batch(name, version, source, given, at.serving)
        job = at.gcp.ask("batchPredictionJobs.create", doing, body, parent=at.serving.parent())
    return _answers(_ended(at, job, doing), doing)


def _there(at: At, name: str, doing: str) -> Found | None:
    """The newest job of that name that has not failed."""
    asked = {"parent": at.serving.parent(), "filter": f'labels.{_ASKED}="{name}"'}
    jobs = at.gcp.pages("batchPredictionJobs.list", "batchPredictionJobs", doing, **asked)
    good = (each for each in jobs if each.get("state") not in _OVER - {"JOB_STATE_SUCCEEDED"})
    return next(good, None)


def _ended(at: At, job: Found, doing: str) -> Found:
    began, pause = time.monotonic(), _PAUSE
    while job.get("state") not in _OVER:
        if time.monotonic() - began > at.deadline:
            raise ProviderError(
                f"Vertex AI needs more than {at.deadline:.0f} s to {doing}; the same call goes on"
            )
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_WAIT)
        job = at.gcp.ask("batchPredictionJobs.get", doing, name=required(job, "name", "the job"))
    return job


def _answers(job: Found, doing: str) -> Answers:
    state = str(job.get("state", ""))
    if state != "JOB_STATE_SUCCEEDED":
        status = job.get("error", {})
        told = status.get("message") or state.rpartition("STATE_")[2].lower()
        raise errors.of(int(status.get("code", 2)), told, doing)
    counts = job.get("completionStats", {})
    return Answers(
        required(job.get("outputInfo", {}), "gcsOutputDirectory", "the answers"),
        int(counts.get("successfulCount", 0)),
        int(counts.get("failedCount", 0)),
    )
