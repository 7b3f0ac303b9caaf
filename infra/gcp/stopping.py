"""Ends what goes on in Vertex AI; to end what has ended is no mistake."""

from __future__ import annotations

from infra.gcp.session import Gcp

_OVER = (400, 404, 409)
"""How Vertex AI says that there is nothing to end any more."""


def stop(gcp: Gcp, name: str) -> None:
    """Ask a PipelineJob or a CustomJob to end, by its full name; its steps may save themselves."""
    collection = "pipelineJobs" if "/pipelineJobs/" in name else "customJobs"
    gcp.find(f"{collection}.cancel", "end the run", {}, _OVER, name=name)
