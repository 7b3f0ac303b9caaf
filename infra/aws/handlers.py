"""Exit handlers: jobs that are started once all else of a run has ended, whoever sees that first.

Their names are the run's, so that SageMaker itself refuses a second one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from infra.aws.described import kind_of
from infra.aws.session import IN_USE, Aws
from infra.cloud.handlers import due, final_status
from infra.cloud.looking import Look
from infra.cloud.records import Attempt
from infra.cloud.stepfile import STATUS
from infra.cloud.store import Store
from infra.plan import Step


def send(aws: Aws, store: Store, attempt: Attempt, look: Look) -> None:
    """Start those that can begin now."""
    after = attempt.request["after"]
    for step in due(attempt.plan, look, after):
        status = final_status(step, look, attempt.run_id)
        if status:
            key = _place_of(after[step.name]["request"]).removeprefix(store.uri(""))
            store.put(f"{key}/status.json", json.dumps(status).encode())
        _start(aws, step, after[step.name])


def _start(aws: Aws, step: Step, asked: Mapping[str, Any]) -> None:
    operation = f"create_{kind_of(asked['operation']).lower()}_job"
    aws.find("sagemaker", operation, f"start {step.name}", IN_USE, **asked["request"])


def _place_of(request: Mapping[str, Any]) -> str:
    """The address of the folder that the job finds as its input of that name."""
    for each in request.get("ProcessingInputs", ()):
        if each["InputName"] == STATUS:
            return str(each["S3Input"]["S3Uri"])
    channels = request.get("InputDataConfig", ())
    return next(
        str(each["DataSource"]["S3DataSource"]["S3Uri"])
        for each in channels
        if each["ChannelName"] == STATUS
    )
