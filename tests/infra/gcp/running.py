"""What the tests of the verbs share: a project of Google Cloud on loopback, and runs in it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from infra import ir
from infra.gcp import GcpSettings, client
from infra.gcp.emulator.account import accounts_of, number_of
from infra.gcp.emulator.cloud import Account, standing
from infra.gcp.lower import lower
from infra.plan import Event, Json, Plan, Request, RunRef
from infra.rehearsal.log import lines
from pipelines import compile
from tests.infra.gcp.lowering import SETTINGS

PLANS = Path(__file__).parents[2] / "plans"
RUN = RunRef("gcp", "r-1")
ACCOUNT = Account(
    SETTINGS.project, number_of(SETTINGS.project), SETTINGS.region, accounts_of(SETTINGS),
    SETTINGS.bucket,
)  # fmt: skip


class Stood(NamedTuple):
    """A cloud that is up."""

    settings: GcpSettings
    workspace: Path

    def request(self, plan: Plan, run_id: str = "r-1") -> Request:
        return lower(plan, self.settings, run_id)

    def submitted(self, plan: Plan, run_id: str = "r-1") -> RunRef:
        return client.submit(self.request(plan, run_id), self.settings, dict)

    def ran(self, plan: Plan, run_id: str = "r-1") -> list[Event]:
        """Everything that is told of a run from its start to its end."""
        return list(client.follow(self.submitted(plan, run_id), self.settings))

    def calls(self) -> list[str]:
        """What every call was, in their order: service and method."""
        return [line["name"] for line in lines(self.workspace / "requests.jsonl")]

    def sent(self, method: str) -> list[dict[str, Any]]:
        """The bodies of one method of Vertex AI's."""
        return [
            json.loads(line["body"])
            for line in lines(self.workspace / "requests.jsonl")
            if line["name"] == f"aiplatform {method}"
        ]

    def kept(self, kind: str) -> list[dict[str, Any]]:
        """What the project has of one kind: PipelineJob, CustomJob."""
        folder = self.workspace / "vertex" / kind
        return [json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))]


@contextmanager
def gcp(workspace: Path, **scenario: Any) -> Iterator[Stood]:
    """The project while the block runs."""
    settings = SETTINGS._replace(workspace=str(workspace), poll=0.2)
    with standing(ACCOUNT, workspace, {"grace": 5, **scenario}):
        yield Stood(settings, workspace)


def document(name: str, folder: Path) -> dict[str, Any]:
    """The IR of a pipeline in tests/plans."""
    return compile.load(str(PLANS / f"{name}.py"), folder)


def plan_of(document: Mapping[str, Any], **given: Json) -> Plan:
    """The plan of an IR, bound."""
    return ir.read(dict(document), given)


def alone(plan: Plan, name: str) -> Plan:
    """One step by itself."""
    return plan._replace(steps=(plan.step(name),))


def states(events: list[Event]) -> dict[str, str]:
    """The last state of each step, and of the run by the empty name."""
    return {event.step: event.state for event in events}
