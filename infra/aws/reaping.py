"""Ends and removes what a run left in the account, found by its names and its tags.

Data stay where they are unless told: what steps left, checkpoints, and the records of the run.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

from infra.aws import AwsSettings
from infra.aws.described import describe, kind_of
from infra.aws.jobs import RUN
from infra.aws.looking import Looker, newest
from infra.aws.session import Aws, connected
from infra.aws.stopping import stop_attempt, stop_execution, stop_job
from infra.aws.store import S3
from infra.cloud.reaping import keep_end, remove_data, wait_for
from infra.cloud.records import Attempt, Records
from infra.cloud.starting import forestall
from infra.plan import FINAL, RunRef

_KINDS = ("Training", "Processing")


def reap(run: RunRef, settings: AwsSettings, *, data: bool = False) -> list[str]:
    """End all of a run, and remove its pipeline; says what was done.

    ``data`` removes what lies in S3 of it, too. Raises InputError on an unknown run.
    """
    aws = connected(settings.region)
    store = S3(aws, settings)
    records = Records(store, settings.prefix)
    attempts = records.attempts(run)
    if not attempts[-1].started and not attempts[-1].ended:  # nor may it start now
        forestall(records, attempts[-1], functools.partial(stop_attempt, aws))
    did = list(_end(aws, attempts))
    keep_end(records, attempts[-1], Looker(aws, attempts[-1]).look)
    did += _remove_pipelines(aws, attempts)
    if data:
        did += remove_data(store, settings.prefix, run.run_id)
    return did


def left(settings: AwsSettings) -> dict[str, list[str]]:
    """By run: the pipelines, and the jobs that go on, which have a run's tag in this account."""
    aws = connected(settings.region)
    found: dict[str, list[str]] = {}
    for what, arn in _live(aws):
        for run_id in _runs_of(aws, arn):
            found.setdefault(run_id, []).append(what)
    return found


def _end(aws: Aws, attempts: list[Attempt]) -> Iterator[str]:
    """End what goes on, and wait for that."""
    for name in _pipelines_of(attempts):
        arn = newest(aws, name)
        if arn and not _execution_over(aws, arn):
            stop_execution(aws, arn)
            wait_for(functools.partial(_execution_over, aws, arn), name, "SageMaker")
            yield f"execution {arn} ended"
    for kind, name in dict.fromkeys(job for each in attempts for job in _jobs_of(each.request)):
        if not _job_over(aws, kind, name):
            stop_job(aws, kind, name)
            wait_for(functools.partial(_job_over, aws, kind, name), name, "SageMaker")
            yield f"{kind.lower()} job {name} ended"


def _remove_pipelines(aws: Aws, attempts: list[Attempt]) -> Iterator[str]:
    for name in _pipelines_of(attempts):
        if aws.find("sagemaker", "delete_pipeline", "remove the pipeline", PipelineName=name):
            yield f"pipeline {name} removed"


def _pipelines_of(attempts: list[Attempt]) -> list[str]:
    found = (each.request["pipeline"] for each in attempts if "pipeline" in each.request)
    return list(dict.fromkeys(found))


def _jobs_of(request: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The jobs that the attempt itself starts; those of its pipeline end with the execution."""
    for asked in [request.get("job"), *request["after"].values()]:
        if asked:
            kind = kind_of(asked["operation"])
            yield kind, asked["request"][f"{kind}JobName"]


def _execution_over(aws: Aws, arn: str) -> bool:
    found = aws.find(
        "sagemaker", "describe_pipeline_execution", "tell of the run", PipelineExecutionArn=arn
    )
    return found is None or found["PipelineExecutionStatus"] not in ("Executing", "Stopping")


def _job_over(aws: Aws, kind: str, name: str) -> bool:
    found = describe(aws, kind, name, name)
    return found is None or found.state in FINAL


def _live(aws: Aws) -> Iterator[tuple[str, str]]:
    """Pipelines, and jobs that go on: in words, and their ARNs."""
    for each in aws.pages("sagemaker", "list_pipelines", "PipelineSummaries", "list pipelines"):
        yield f"pipeline {each['PipelineName']}", each["PipelineArn"]
    for kind in _KINDS:
        jobs = aws.pages(
            "sagemaker", f"list_{kind.lower()}_jobs", f"{kind}JobSummaries", "list jobs",
            StatusEquals="InProgress",
        )  # fmt: skip
        for each in jobs:
            yield f"{kind.lower()} job {each[f'{kind}JobName']}", each[f"{kind}JobArn"]


def _runs_of(aws: Aws, arn: str) -> Iterator[str]:
    for tag in aws.pages("sagemaker", "list_tags", "Tags", "read tags", ResourceArn=arn):
        if tag["Key"] == RUN:
            yield tag["Value"]
