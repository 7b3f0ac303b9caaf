"""Plans lowered to SageMaker, with settings that are the same on every machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra import ir
from infra.aws import AwsSettings
from infra.aws.lower import lower
from infra.aws.validate import problems
from infra.cloud.problems import Problem
from infra.plan import Json, Plan, Request

GOLDEN = Path(__file__).parents[2] / "golden"
SETTINGS = AwsSettings(
    region="eu-west-1",
    bucket="example-bucket",
    pipeline_role_arn="arn:aws:iam::123456789012:role/trefoil-pipeline",
    training_role_arn="arn:aws:iam::123456789012:role/trefoil-training",
    registry="123456789012.dkr.ecr.eu-west-1.amazonaws.com",
    image_tag="0123456789ab",
)


def plan_of(document: Mapping[str, Any], **given: Json) -> Plan:
    """The plan of compiled IR."""
    return ir.read(dict(document), given)


def generative() -> Plan:
    """Our own pipeline, from the golden IR."""
    return plan_of(json.loads((GOLDEN / "generative.json").read_text(encoding="utf-8")))


def lowered(plan: Plan, settings: AwsSettings = SETTINGS) -> Request:
    """What would be sent."""
    return lower(plan, settings, f"{plan.name}-1")


def wrong(request: Request) -> list[Problem]:
    """Everything that SageMaker would find wrong with it."""
    body: Any = request.body
    sent = [(each["operation"], each["request"]) for each in body["after"]]
    if "job" in body:
        sent.append((body["job"]["operation"], body["job"]["request"]))
    else:
        definition = json.dumps(body["pipeline"]["PipelineDefinition"])
        sent.append(("CreatePipeline", {**body["pipeline"], "PipelineDefinition": definition}))
        sent.append(("StartPipelineExecution", body["start"]))
    return [problem for operation, given in sent for problem in problems(operation, given)]


def steps_of(request: Request) -> dict[str, Any]:
    """The steps of a pipeline by name, those of branches too."""
    body: Any = request.body
    found: dict[str, Any] = {}
    for step in body["pipeline"]["PipelineDefinition"]["Steps"]:
        inner = step["Arguments"].get("IfSteps", []) if step["Type"] == "Condition" else []
        found |= {each["Name"]: each for each in (step, *inner)}
    return found


def told(request: Request, step: str) -> dict[str, Any]:
    """What the launcher is told of a step."""
    files: Any = request.body["files"]
    for key, text in files.items():
        if key.endswith("step.json") and (found := json.loads(text))["step"] == step:
            return dict(found)
    raise LookupError(step)
