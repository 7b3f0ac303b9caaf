"""Ends what goes on in SageMaker; to end what has ended is no mistake."""

from __future__ import annotations

from infra.aws.described import kind_of
from infra.aws.looking import execution_of
from infra.aws.session import Aws
from infra.cloud.looking import Look
from infra.cloud.records import Attempt
from infra.plan import FINAL

_OVER = (
    r"ConflictException|ResourceNotFound"
    r"|ValidationException: .*([Nn]ot found|[Cc]ould not find|can.?not be stopped|status)"
)
"""How SageMaker says that there is nothing to stop any more."""


def stop(aws: Aws, found: Look) -> None:
    """Stop the execution; where that has ended already, the exit handlers."""
    if found.main not in FINAL and found.execution:
        stop_execution(aws, found.execution)
        return
    for task in found.tasks.values():
        if task.job and task.state not in FINAL:
            stop_job(aws, task.kind, task.job)


def stop_attempt(aws: Aws, attempt: Attempt) -> None:
    """Stop whatever an attempt has started, which may be nothing."""
    if "job" in attempt.request:
        asked = attempt.request["job"]
        kind = kind_of(asked["operation"])
        stop_job(aws, kind, asked["request"][f"{kind}JobName"])
    elif arn := execution_of(aws, attempt):
        stop_execution(aws, arn)


def stop_execution(aws: Aws, arn: str) -> None:
    """Ask a pipeline's execution to end, and its jobs to save themselves."""
    aws.find(
        "sagemaker", "stop_pipeline_execution", "end the run", _OVER,
        PipelineExecutionArn=arn,
    )  # fmt: skip


def stop_job(aws: Aws, kind: str, name: str) -> None:
    """Ask a job to end; it has two minutes to save itself."""
    aws.find(
        "sagemaker", f"stop_{kind.lower()}_job", f"end the job {name}", _OVER,
        **{f"{kind}JobName": name},
    )  # fmt: skip
