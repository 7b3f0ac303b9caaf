"""Ends and removes what a run left in the project, found by its records and its label.

What has ended costs nothing, and stays to be looked at, as do data, unless told: what steps left,
checkpoints, the jobs that Vertex AI lists, and the records of the run.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

from infra.cloud.reaping import keep_end, remove_data, wait_for
from infra.cloud.records import Attempt, Records
from infra.cloud.starting import forestall
from infra.gcp import GcpSettings
from infra.gcp.described import of_run
from infra.gcp.looking import Looker, pipeline_name
from infra.gcp.names import RUN
from infra.gcp.serving import left as serving
from infra.gcp.session import Found, Gcp, connected, required
from infra.gcp.stopping import stop, stop_attempt
from infra.plan import RunRef

_OVER = ("SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED", "PARTIALLY_SUCCEEDED")
_NO_RUN = "(no run)"


def reap(run: RunRef, settings: GcpSettings, *, data: bool = False) -> list[str]:
    """End all of a run; says what was done.

    ``data`` removes what lies in Cloud Storage of it, too, and its jobs from Vertex AI's lists.
    Raises InputError on an unknown run.
    """
    gcp = connected(settings.project, settings.region)
    store = gcp.store(settings.bucket)
    records = Records(store, settings.prefix)
    attempts = records.attempts(run)
    if not attempts[-1].started and not attempts[-1].ended:  # nor may it start now
        forestall(records, attempts[-1], functools.partial(stop_attempt, gcp))
    did = [*_end(gcp, attempts), *serving.remove(gcp, run.run_id)]
    keep_end(records, attempts[-1], Looker(gcp, attempts[-1]).look)
    if data:
        did += _removed(gcp, attempts)
        did += remove_data(store, settings.prefix, run.run_id)
    return did


def left(settings: GcpSettings) -> dict[str, list[str]]:
    """By run's label: the jobs that go on, and what deploying left, in this project and region."""
    gcp = connected(settings.project, settings.region)
    found: dict[str, list[str]] = {}
    for what, kind in (("pipeline", "pipelineJobs"), ("custom job", "customJobs")):
        listed = gcp.pages(
            f"{kind}.list", kind, "list jobs", parent=gcp.parent, filter=f"labels.{RUN}:*"
        )
        for each in listed:
            if not _over(each):
                run_id = each.get("labels", {}).get(RUN, _NO_RUN)
                name = required(each, "name", f"a {what}").rpartition("/")[2]
                words = f"{what} {name} ({each.get('displayName', '')})"
                found.setdefault(run_id, []).append(words)
    for idle in serving.left(gcp):  # what was deployed without a run has none
        found.setdefault(idle.run or _NO_RUN, []).append(idle.words)
    return found


def _end(gcp: Gcp, attempts: list[Attempt]) -> Iterator[str]:
    """End what goes on, and wait for that; a pipeline first, which may start jobs."""
    for attempt in attempts:
        if "pipeline" not in attempt.request:
            continue
        name = pipeline_name(gcp, attempt)
        if not _pipeline_over(gcp, name):
            stop(gcp, name)
            wait_for(functools.partial(_pipeline_over, gcp, name), name, "Vertex AI")
            yield f"pipeline {attempt.request['pipeline']} ended"
    for job in of_run(gcp, attempts[-1].run_id):
        if not _over(job):
            name = required(job, "name", f"a job of {attempts[-1].run_id}")
            stop(gcp, name)
            wait_for(functools.partial(_job_over, gcp, name), name, "Vertex AI")
            yield f"custom job {job.get('displayName', '')} ended"


def _removed(gcp: Gcp, attempts: list[Attempt]) -> Iterator[str]:
    for attempt in attempts:
        if "pipeline" in attempt.request:
            name = pipeline_name(gcp, attempt)
            if gcp.find("pipelineJobs.delete", "remove the pipeline", name=name):
                yield f"pipeline {attempt.request['pipeline']} removed"
    for job in of_run(gcp, attempts[-1].run_id):
        name = required(job, "name", f"a job of {attempts[-1].run_id}")
        if gcp.find("customJobs.delete", "remove the job", name=name):
            yield f"custom job {job.get('displayName', '')} removed"


def _pipeline_over(gcp: Gcp, name: str) -> bool:
    found = gcp.find("pipelineJobs.get", "tell of the run", name=name)
    return found is None or _over(found)


def _job_over(gcp: Gcp, name: str) -> bool:
    found = gcp.find("customJobs.get", "tell of the job", name=name)
    return found is None or _over(found)


def _over(found: Found) -> bool:
    return found.get("state", "").rpartition("STATE_")[2] in _OVER
