"""Plans lowered to Vertex AI, with settings that are the same on every machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra import ir
from infra.cloud.problems import Problem
from infra.gcp import GcpSettings
from infra.gcp.jobs import LAUNCHER, POOLS, payload_of
from infra.gcp.lower import lower
from infra.gcp.validate import problems
from infra.plan import Json, Plan, Request

GOLDEN = Path(__file__).parents[2] / "golden"
SETTINGS = GcpSettings(
    project="example-project",
    region="europe-west4",
    bucket="example-bucket",
    service_account="trefoil-training@example-project.iam.gserviceaccount.com",
    serving_service_account="trefoil-serving@example-project.iam.gserviceaccount.com",
    registry="europe-west4-docker.pkg.dev/example-project/trefoil",
    image_tag="0123456789ab",
)


def plan_of(document: Mapping[str, Any], **given: Json) -> Plan:
    """The plan of compiled IR."""
    return ir.read(dict(document), given)


def generative() -> Plan:
    """Our own pipeline, from the golden IR."""
    return plan_of(json.loads((GOLDEN / "generative.json").read_text(encoding="utf-8")))


def lowered(plan: Plan, settings: GcpSettings = SETTINGS) -> Request:
    """What would be sent."""
    return lower(plan, settings, f"{plan.name}-1")


def wrong(request: Request) -> list[Problem]:
    """Everything that Vertex AI would find wrong with it."""
    body: Any = request.body
    if "job" in body:
        return problems("customJobs.create", body["job"])
    given = {
        "parent": f"projects/{body['project']}/locations/{body['region']}",
        "pipelineJobId": body["pipeline"]["id"],
    }
    return problems("pipelineJobs.create", body["pipeline"]["job"], given)


def spec_of(request: Request) -> dict[str, Any]:
    """The IR that would be sent."""
    body: Any = request.body
    found: dict[str, Any] = body["pipeline"]["job"]["pipelineSpec"]
    return found


def containers(request: Request) -> dict[str, dict[str, Any]]:
    """The container of each executor, by its label."""
    executors = spec_of(request)["deploymentSpec"]["executors"]
    return {label: each["container"] for label, each in executors.items() if "container" in each}


def custom_job(request: Request, label: str) -> dict[str, Any]:
    """The CustomJob that Google's launcher is told, in the place of an executor's container."""
    container = containers(request)[label]
    assert container["image"] == LAUNCHER
    for component in spec_of(request)["components"].values():
        if component.get("executorLabel") == label:
            given = component["inputDefinitions"]["parameters"][POOLS]["defaultValue"]
            return payload_of(container, given)
    raise LookupError(label)
