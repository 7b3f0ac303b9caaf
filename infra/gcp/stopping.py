"""Ends what goes on in Vertex AI; to end what has ended is no mistake."""

from __future__ import annotations

from infra.cloud.records import Attempt
from infra.gcp.looking import job_of, pipeline_name
from infra.gcp.session import Gcp, required

_OVER = (400, 404, 409)
"""How Vertex AI says that there is nothing to end any more."""


def stop(gcp: Gcp, name: str) -> None:
    """Ask a PipelineJob or a CustomJob to end, by its full name; its steps may save themselves."""
    collection = "pipelineJobs" if "/pipelineJobs/" in name else "customJobs"
    gcp.find(f"{collection}.cancel", "end the run", {}, _OVER, name=name)


def stop_attempt(gcp: Gcp, attempt: Attempt) -> None:
    """The same of whatever an attempt has started, which may be nothing."""
    if "pipeline" in attempt.request:
        stop(gcp, pipeline_name(gcp, attempt))
    elif found := job_of(gcp, attempt):
        stop(gcp, required(found, "name", "the job of the run"))
