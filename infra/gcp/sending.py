"""From a Request to a run that goes on, whatever was sent already.

A record of what is to be started is put to Cloud Storage first. A PipelineJob is called by its run,
so that Vertex AI itself refuses a second one. A CustomJob cannot be called: see making.py.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from infra.cloud import starting
from infra.cloud.looking import BROKEN, Look
from infra.cloud.problems import Problem, refuse
from infra.cloud.records import Attempt, Records
from infra.gcp import GcpSettings, jobs, preflight, validate
from infra.gcp.looking import Looker
from infra.gcp.making import made_once
from infra.gcp.names import named
from infra.gcp.session import IN_USE, Gcp
from infra.gcp.stopping import stop_attempt
from infra.plan import Request, to_data
from infra.redaction import redacted


def send(gcp: Gcp, request: Request, settings: GcpSettings) -> Attempt:
    """Start the run, or find it: where it goes on or has succeeded, nothing is sent."""
    body: Any = request.body
    store = gcp.store(settings.bucket)
    records = Records(store, settings.prefix)
    attempt = records.newest(request.run_id)
    look = _look(gcp, attempt) if attempt and (attempt.started or attempt.ended) else None
    if attempt and look and look.state not in BROKEN:
        return attempt
    preflight.require(gcp, body, settings)
    end = functools.partial(stop_attempt, gcp)
    if attempt is None:
        attempt = _claimed(records, request, settings, 1)
    elif look:
        if starting.forestalled(attempt):  # a command that was killed may have started it
            end(attempt)
        attempt = _claimed(records, request, settings, attempt.number + 1)
    for key, content in body["files"].items():  # a key holds the digest of its content
        store.put(key, content.encode(), once=True)
    start = _start_job if "job" in attempt.request else _start_pipeline
    starts = functools.partial(start, gcp, records, attempt, body)
    return starting.begin(records, attempt, starts, end)


def check(request: Request) -> None:
    """Hold all that would be sent against Google's description. Raises InputError."""
    refuse("Vertex AI", _problems(request.body))


def _problems(body: Any) -> Iterator[tuple[str, Problem]]:
    if "pipeline" in body:
        given = {"pipelineJobId": body["pipeline"]["id"]}
        found = validate.problems("pipelineJobs.create", body["pipeline"]["job"])
        found += validate.parameters("pipelineJobs.create", {**given, "parent": _parent(body)})
        yield from (("pipelineJobs.create", each) for each in found)
    else:
        for each in validate.problems("customJobs.create", body["job"]):
            yield "customJobs.create", each


def _parent(body: Any) -> str:
    return f"projects/{body['project']}/locations/{body['region']}"


def _look(gcp: Gcp, attempt: Attempt) -> Look:
    return attempt.end if attempt.ended else Looker(gcp, attempt).look()


def _claimed(records: Records, request: Request, settings: GcpSettings, number: int) -> Attempt:
    """Write down what is going to be started; of two who do, both go on with what one wrote."""
    body: Any = request.body
    asked: dict[str, Any] = {"schema": 1, "plan": redacted(to_data(_kept_plan(request)))}
    again = () if number == 1 else (str(number),)
    if "job" in body:
        name = named(body["job"]["displayName"], *again)
        asked["job"] = {**body["job"], "displayName": name}
    else:
        asked["pipeline"] = named(body["pipeline"]["id"], *again)
        steps = request.plan.steps
        asked["custom"] = [step.name for step in steps if jobs.is_custom(step, settings)]
    return records.claim(request.run_id, number, asked)


def _kept_plan(request: Request) -> Any:
    """The plan without its IR: Vertex AI keeps that, and a record is read often."""
    return request.plan._replace(source={})


def _start_pipeline(gcp: Gcp, _: Records, attempt: Attempt, body: Any) -> dict[str, Any]:
    """Start the PipelineJob, or find that it is there."""
    name = attempt.request["pipeline"]
    gcp.find(
        "pipelineJobs.create", "start the run", body["pipeline"]["job"], IN_USE,
        parent=gcp.parent, pipelineJobId=name,
    )  # fmt: skip
    return {"pipeline": f"{gcp.parent}/pipelineJobs/{name}"}


def _start_job(gcp: Gcp, records: Records, attempt: Attempt, _: object) -> dict[str, Any]:
    return {"job": made_once(gcp, records, attempt)}
