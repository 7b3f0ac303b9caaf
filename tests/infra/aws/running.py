"""What the tests of the verbs share: an account of AWS on loopback, and runs in it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from infra import ir
from infra.aws import AwsSettings, client
from infra.aws.emulator.cloud import Account, standing
from infra.aws.lower import lower
from infra.plan import Event, Json, Plan, Request, RunRef
from infra.rehearsal.log import lines
from pipelines import compile
from tests.infra.aws.lowering import SETTINGS

PLANS = Path(__file__).parents[2] / "plans"
RUN = RunRef("aws", "r-1")
ACCOUNT = Account(
    "123456789012", "eu-west-1",
    frozenset({SETTINGS.pipeline_role_arn, SETTINGS.training_role_arn}), "example-bucket",
)  # fmt: skip


class Stood(NamedTuple):
    """A cloud that is up."""

    settings: AwsSettings
    workspace: Path

    def request(self, plan: Plan, run_id: str = "r-1") -> Request:
        return lower(plan, self.settings, run_id)

    def submitted(self, plan: Plan, run_id: str = "r-1") -> RunRef:
        return client.submit(self.request(plan, run_id), self.settings, dict)

    def ran(self, plan: Plan, run_id: str = "r-1") -> list[Event]:
        """Everything that is told of a run from its start to its end."""
        return list(client.follow(self.submitted(plan, run_id), self.settings))

    def calls(self) -> list[str]:
        """What every call was, in their order: service and operation."""
        return [line["name"] for line in lines(self.workspace / "requests.jsonl")]

    def sent(self, operation: str) -> list[dict[str, Any]]:
        """The requests of one operation."""
        return [
            json.loads(line["body"])
            for line in lines(self.workspace / "requests.jsonl")
            if line["name"] == operation
        ]

    def kept(self, kind: str) -> list[dict[str, Any]]:
        """What the account has of one kind: Training, Processing, Pipeline, PipelineExecution."""
        folder = self.workspace / "sagemaker" / kind
        return [json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))]


@contextmanager
def aws(workspace: Path, runner: str = "process", **scenario: Any) -> Iterator[Stood]:
    """The account while the block runs."""
    settings = SETTINGS._replace(workspace=str(workspace), poll=0.2)
    with standing(ACCOUNT, workspace, {"grace": 5, **scenario}, runner):
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


def states(events: list[Event]) -> dict[str, str]:
    """The last state of each step, and of the run by the empty name."""
    return {event.step: event.state for event in events}
