"""Plans lowered to Azure ML, with settings that are the same on every machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra import ir
from infra.azure import AzureSettings, graph
from infra.azure.lower import lower
from infra.plan import Json, Plan, Request

GOLDEN = Path(__file__).parents[2] / "golden"
IDENTITY = "22222222-2222-4222-8222-222222222222"
SETTINGS = AzureSettings(
    subscription="11111111-1111-4111-8111-111111111111",
    resource_group="example",
    ml_workspace="digits-workspace",
    region="westeurope",
    storage_account="examplestore",
    container="trefoil",
    datastore="trefoil_data",
    identity=IDENTITY,
    registry="example.azurecr.io",
    image_tag="0123456789ab",
)


def plan_of(document: Mapping[str, Any], **given: Json) -> Plan:
    """The plan of compiled IR."""
    return ir.read(dict(document), given)


def generative() -> Plan:
    """Our own pipeline, from the golden IR."""
    return plan_of(json.loads((GOLDEN / "generative.json").read_text(encoding="utf-8")))


def lowered(plan: Plan, settings: AzureSettings = SETTINGS) -> Request:
    """What would be sent."""
    return lower(plan, settings, f"{plan.name}-1")


def wrong(request: Request) -> list[str]:
    """Everything that is found wrong with it before it is sent."""
    return [f"{what}: {problem}" for what, problem in graph.documents(request.body)]


def nodes_of(request: Request) -> dict[str, Any]:
    """The nodes of a pipeline by their steps."""
    body: Any = request.body
    return {step: body["pipeline"]["jobs"][node] for step, node in body["nodes"].items()}


def told(request: Request, step: str) -> dict[str, Any]:
    """What the launcher is told of a step."""
    files: Any = request.body["files"]
    for key, text in files.items():
        if key.endswith("step.json") and (found := json.loads(text))["step"] == step:
            return dict(found)
    raise LookupError(step)
