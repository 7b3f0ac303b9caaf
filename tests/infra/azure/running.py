"""What the tests of the verbs share: a workspace of Azure ML on loopback, and runs in it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from infra import ir
from infra.azure import AzureSettings, client
from infra.azure.emulator.account import scope_of
from infra.azure.emulator.cloud import standing
from infra.azure.lower import lower
from infra.plan import Event, Json, Plan, Request, RunRef
from infra.rehearsal.log import lines
from pipelines import compile
from tests.infra.azure.lowering import SETTINGS

PLANS = Path(__file__).parents[2] / "plans"
RUN = RunRef("azure", "r-1")


class Stood(NamedTuple):
    """A cloud that is up."""

    settings: AzureSettings
    workspace: Path

    def request(self, plan: Plan, run_id: str = "r-1") -> Request:
        return lower(plan, self.settings, run_id)

    def submitted(self, plan: Plan, run_id: str = "r-1") -> RunRef:
        return client.submit(self.request(plan, run_id), self.settings, dict)

    def ran(self, plan: Plan, run_id: str = "r-1") -> list[Event]:
        """Everything that is told of a run from its start to its end."""
        return list(client.follow(self.submitted(plan, run_id), self.settings))

    def calls(self) -> list[str]:
        """What every call was, in their order."""
        return [line["name"] for line in lines(self.workspace / "requests.jsonl")]

    def sent(self, call: str) -> list[dict[str, Any]]:
        """The bodies of one kind of call: ``ARM PUT jobs``."""
        return [
            json.loads(line["body"])
            for line in lines(self.workspace / "requests.jsonl")
            if line["name"] == call
        ]

    def jobs(self) -> list[dict[str, Any]]:
        """The jobs of the workspace, those of pipelines among them."""
        folder = self.workspace / "azureml" / "jobs"
        return [json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))]

    def started(self) -> list[str]:
        """The jobs that were put by themselves."""
        return sorted(each["name"] for each in self.jobs() if not each["parent"])


@contextmanager
def azure(
    workspace: Path, own: AzureSettings = SETTINGS, runner: str = "process", **scenario: Any
) -> Iterator[Stood]:
    """The workspace while the block runs."""
    settings = own._replace(workspace=str(workspace), poll=0.2)
    with standing(scope_of(settings), workspace, {"grace": 5, **scenario}, runner):
        yield Stood(settings, workspace)


def document(name: str, folder: Path) -> dict[str, Any]:
    """The IR of a pipeline in tests/plans."""
    return compile.load(str(PLANS / f"{name}.py"), folder)


def plan_of(document: Mapping[str, Any], **given: Json) -> Plan:
    """The plan of an IR, bound."""
    return ir.read(dict(document), given)


def one_step(plan: Plan, name: str) -> Plan:
    """As --step makes it: a step, those it needs, and the exit handlers."""
    wanted, waiting = set[str](), [name]
    while waiting:
        step = plan.step(waiting.pop())
        wanted.add(step.name)
        waiting += [each for each in step.needs() if each not in wanted]
    return plan._replace(steps=tuple(s for s in plan.steps if s.name in wanted))


def some(plan: Plan, *names: str) -> Plan:
    """Those steps alone, where the others would prove nothing more."""
    return plan._replace(steps=tuple(each for each in plan.steps if each.name in names))


def states(events: list[Event]) -> dict[str, str]:
    """The last state of each step, and of the run by the empty name."""
    return {event.step: event.state for event in events}
