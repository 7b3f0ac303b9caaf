"""Exit handlers: jobs that are started once all else of a run has ended, whoever sees that first.

Their names are the run's, so that SageMaker itself refuses a second one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from infra.aws.described import kind_of
from infra.aws.looking import Look, Task
from infra.aws.records import Attempt
from infra.aws.session import IN_USE, Aws
from infra.aws.stepfile import STATUS
from infra.plan import FINAL, FinalStatus, Json, Step


def send(aws: Aws, attempt: Attempt, look: Look, encrypted: Mapping[str, str]) -> None:
    """Start those that can begin now: all else, and the handlers before them, have ended."""
    if look.main not in FINAL:
        return
    plan, after = attempt.plan, attempt.request["after"]
    for step in plan.steps:
        if step.name not in after or step.name in look.tasks:
            continue
        before = [name for name in step.needs() if name in after]
        if all(name in look.tasks and look.tasks[name].state in FINAL for name in before):
            _send(aws, step, after[step.name], attempt.run_id, look, encrypted)


def _send(
    aws: Aws, step: Step, asked: Mapping[str, Any], run_id: str, look: Look,
    encrypted: Mapping[str, str],
) -> None:  # fmt: skip
    told = [each for each in step.inputs.values() if isinstance(each, FinalStatus)]
    if told:
        bucket, key = _place_of(asked["request"])
        status = _status(told[0], look.tasks, run_id)
        aws.ask(
            "s3", "put_object", f"tell {step.name} how the run ended", Bucket=bucket,
            Key=f"{key}/status.json", Body=json.dumps(status).encode(), **encrypted,
        )  # fmt: skip
    operation = f"create_{kind_of(asked['operation']).lower()}_job"
    aws.find("sagemaker", operation, f"start {step.name}", IN_USE, **asked["request"])


def _place_of(request: Mapping[str, Any]) -> tuple[str, str]:
    """Bucket and key of the folder that the job finds as its input of that name."""
    for each in request.get("ProcessingInputs", ()):
        if each["InputName"] == STATUS:
            uri = each["S3Input"]["S3Uri"]
    for each in request.get("InputDataConfig", ()):
        if each["ChannelName"] == STATUS:
            uri = each["DataSource"]["S3DataSource"]["S3Uri"]
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def _status(source: FinalStatus, tasks: Mapping[str, Task], run_id: str) -> dict[str, Json]:
    """KFP's PipelineTaskFinalStatus."""
    states = {name: tasks[name].state for name in source.steps if name in tasks}
    failed = [name for name, state in states.items() if state == "failed"]
    cancelled = "cancelled" in states.values()
    state = "FAILED" if failed else "CANCELLED" if cancelled else "SUCCEEDED"
    words = "; ".join(tasks[name].words for name in failed)
    return {
        "state": state,
        "pipelineJobResourceName": run_id,
        "pipelineTaskName": source.task,
        "error": {"code": 1, "message": words} if failed else {},
    }
