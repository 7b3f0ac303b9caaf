"""From a Request to a run that goes on, whatever was sent already.

What is billed is started under a name or a token that is the run's, after a record of it was
written: a lost answer, or a command that is killed, starts nothing twice and loses nothing.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from infra.aws import AwsSettings, preflight, validate
from infra.aws.described import kind_of
from infra.aws.looking import Looker
from infra.aws.names import execution, named
from infra.aws.session import IN_USE, Aws
from infra.aws.stopping import stop_attempt
from infra.aws.store import S3
from infra.cloud import problems, starting
from infra.cloud.looking import BROKEN, Look
from infra.cloud.records import Attempt, Records
from infra.plan import Request, canonical, to_data
from infra.redaction import redacted


def send(aws: Aws, request: Request, settings: AwsSettings) -> Attempt:
    """Start the run, or find it: where it goes on or has succeeded, nothing is sent."""
    body: Any = request.body
    store = S3(aws, settings)
    records = Records(store, settings.prefix)
    attempt = records.newest(request.run_id)
    look = _look(aws, attempt) if attempt and (attempt.started or attempt.ended) else None
    if attempt and look and look.state not in BROKEN:
        return attempt
    preflight.require(aws, body, settings)
    end = functools.partial(stop_attempt, aws)
    if attempt is None:
        attempt = _claimed(records, request, 1)
    elif look:
        if starting.forestalled(attempt):  # a command that was killed may have started it
            end(attempt)
        attempt = _claimed(records, request, attempt.number + 1, attempt, look)
    for key, content in body["files"].items():
        store.put(key, content.encode(), once=True)  # a key holds the digest of its content
    start = _start_job if "job" in attempt.request else _start_pipeline
    return starting.begin(records, attempt, functools.partial(start, aws, attempt, body), end)


def check(request: Request) -> None:
    """Hold all that would be sent against SageMaker's model. Raises InputError with every fault."""
    problems.refuse(
        "SageMaker",
        (
            (operation, problem)
            for operation, given in _requests(request.body)
            for problem in validate.problems(operation, given)
        ),
    )


def _requests(body: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if "pipeline" in body:
        yield "CreatePipeline", _serialised(body["pipeline"])
        yield "StartPipelineExecution", body["start"]
    for each in ([body["job"]] if "job" in body else []) + body["after"]:
        yield each["operation"], each["request"]


def _serialised(pipeline: Mapping[str, Any]) -> dict[str, Any]:
    """The definition as SageMaker takes it: text."""
    definition = json.dumps(pipeline["PipelineDefinition"], sort_keys=True)
    return {**pipeline, "PipelineDefinition": definition}


def _look(aws: Aws, attempt: Attempt) -> Look:
    return attempt.end if attempt.ended else Looker(aws, attempt).look()


def _claimed(
    records: Records, request: Request, number: int,
    before: Attempt | None = None, look: Look | None = None,
) -> Attempt:  # fmt: skip
    """Write down what is going to be started; of two who do, both go on with what one wrote.

    Where only an exit handler failed before, the rest is ``done``.
    """
    body: Any = request.body
    done = look is not None and look.main == "succeeded"
    asked: dict[str, Any] = {
        "schema": 1,
        "plan": redacted(to_data(request.plan)),
        "after": {
            step.name: _numbered(each, request.run_id, step.name, number)
            for step, each in zip(
                [step for step in request.plan.steps if step.always], body["after"], strict=True
            )
        },
    }
    if "job" in body:
        step = next(each for each in request.plan.steps if not each.always)
        again = _numbered(body["job"], request.run_id, step.name, number)
        asked["job"] = before.request["job"] if before and done else again
    else:
        definition = body["pipeline"]["PipelineDefinition"]
        digest = hashlib.sha256(canonical(definition)).hexdigest()
        same = done or (before is not None and before.request.get("definition") == digest)
        asked |= {
            "pipeline": body["pipeline"]["PipelineName"],
            "definition": digest,
            "branches": _branches(definition),
            "token": _token(body["start"]["ClientRequestToken"], number),
            "resumes": look.execution if look and same else "",
            "done": done,
        }
    return records.claim(request.run_id, number, asked)


def _numbered(asked: Mapping[str, Any], run_id: str, step: str, number: int) -> dict[str, Any]:
    """The job of an attempt: a name that was used is never free again."""
    if number == 1:
        return dict(asked)
    name = f"{kind_of(asked['operation'])}JobName"
    return {**asked, "request": {**asked["request"], name: named(run_id, step, str(number))}}


def _branches(definition: Mapping[str, Any]) -> dict[str, list[str]]:
    """The steps behind each condition."""
    return {
        step["Name"]: [inner["Name"] for inner in step["Arguments"]["IfSteps"]]
        for step in definition["Steps"]
        if step["Type"] == "Condition"
    }


def _token(first: str, number: int) -> str:
    return first if number == 1 else hashlib.sha256(f"{first} {number}".encode()).hexdigest()


def _start_job(aws: Aws, attempt: Attempt, _body: Any) -> dict[str, Any]:
    asked = attempt.request["job"]
    kind = kind_of(asked["operation"])
    name = asked["request"][f"{kind}JobName"]
    operation = f"create_{kind.lower()}_job"
    aws.find("sagemaker", operation, f"start the job {name}", IN_USE, **asked["request"])
    return {"job": name}


def _start_pipeline(aws: Aws, attempt: Attempt, body: Any) -> dict[str, Any]:
    """Make the pipeline, or make it anew where it is another; begin, or go on where it failed."""
    arn, name, token = (attempt.request[each] for each in ("resumes", "pipeline", "token"))
    if attempt.request["done"]:
        return {"execution": arn}
    wanted = _serialised(body["pipeline"])
    if aws.find("sagemaker", "create_pipeline", "make the pipeline", IN_USE, **wanted) is None:
        _update(aws, wanted)
    if arn:
        again = aws.find(
            "sagemaker", "retry_pipeline_execution", "go on with the run",
            PipelineExecutionArn=arn, ClientRequestToken=token,
        )  # fmt: skip
        if again is not None:
            return {"execution": arn}
    found = aws.ask(
        "sagemaker", "start_pipeline_execution", "start the run",
        PipelineName=name, ClientRequestToken=token,
        PipelineExecutionDisplayName=execution(attempt.run_id, attempt.number),
    )  # fmt: skip
    return {"execution": found["PipelineExecutionArn"]}


def _update(aws: Aws, wanted: Mapping[str, Any]) -> None:
    """Let a pipeline that is there be as it is wanted; its name is the run's, so it is ours."""
    name = wanted["PipelineName"]
    there = aws.ask("sagemaker", "describe_pipeline", "look at the pipeline", PipelineName=name)
    if json.loads(there["PipelineDefinition"]) == json.loads(wanted["PipelineDefinition"]):
        return
    fields = ("PipelineName", "PipelineDefinition", "PipelineDescription", "RoleArn")
    aws.ask("sagemaker", "update_pipeline", "change the pipeline", **{n: wanted[n] for n in fields})
