"""AWS on loopback, for rehearsals.

cloud.py        all of it at once                 world.py     what its parts share
account.py      whose it is, where nobody says
sagemaker.py    SageMaker's control plane         tags.py      tags of whatever has an ARN
jobs.py         training and processing jobs      logs.py      CloudWatch Logs
drive.py        takes one job to its end          objects.py   S3 as jobs see it
contract.py     what is in /opt/ml                machine.py   a process, or a container
pipelines.py    pipelines, their executions       interpreter.py  runs one of these
graph.py        their steps as a graph            expressions.py  what they refer to
registry.py     packages of models                images.py    ECR: whether an image is there
check.py        holds requests against the model  refusal.py   how AWS refuses
names.py        what a call is called             bill.py      what a rehearsal would have cost
moto/           S3, STS and IAM                   serving/     endpoints, and who asks them
scenarios.toml  what goes wrong
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from infra.aws import AwsSettings
from infra.aws.emulator.account import made_up, number_of, roles_of
from infra.rehearsal import scenario as scenarios
from infra.rehearsal.held import held

__all__ = ["made_up", "rehearse"]

_SCENARIOS = Path(__file__).with_name("scenarios.toml")
_POLL = 2.0
"""Seconds between two looks at most: at first there are far less, whatever this is."""
_NOT_PROVED = (
    "what IAM allows, quotas, and that there are machines: none was rented",
    "that the images can be pulled, and hold what this environment has",
    "how long machines take to come, and what spot machines are taken away",
    "networks, keys of KMS, accelerators, and how fast several machines talk",
)


@contextlib.contextmanager
def rehearse(
    settings: AwsSettings,
    workspace: Path,
    scenario: str | None,
    runner: str = "process",
    say: Callable[[str], None] | None = None,
) -> Iterator[AwsSettings]:
    """Stand while the block runs; yields settings that reach this. See infra.rehearsal.

    Without a ``scenario`` what was rehearsed before can be looked at, and nothing is started; of a
    rehearsal that goes on elsewhere, things can be asked.
    Raises InputError at an unknown scenario, and while another rehearsal goes on.
    """
    chosen = scenarios.load(_SCENARIOS, scenario or "plain")
    from infra.aws.emulator.bill import going_on, items
    from infra.aws.emulator.cloud import Account, joined, standing
    from infra.rehearsal.bill import told

    settings = made_up(settings, workspace)
    began = time.time()
    number, roles = number_of(settings), roles_of(settings)
    account = Account(number, settings.region, roles, settings.bucket)
    folder = workspace / "aws"
    if scenario is None:
        with joined(account, folder) as there:
            if there:
                yield settings._replace(poll=_POLL)
                return
    with (
        held(folder) if scenario else contextlib.nullcontext(),
        standing(account, folder, chosen, runner, looking=scenario is None) as cloud,
    ):
        try:
            yield settings._replace(poll=_POLL)
        finally:
            if say and scenario:
                bill = [*told(items(cloud.world, began, settings)), *going_on(cloud.world)]
                for line in _summary(scenario, chosen["words"], cloud.log.told(), bill, runner):
                    say(line)


def _summary(
    scenario: str, words: str, calls: list[str], bill: list[str], runner: str
) -> Iterator[str]:
    what = "containers" if runner == "docker" else "processes of this environment"
    yield f"rehearsed, scenario {scenario}: {words}. Steps ran as {what}. The calls:"
    yield from (f"  {call}" for call in calls)
    if bill:
        yield "what SageMaker would have billed, machines alone:"
        yield from (f"  {line}" for line in bill)
    yield "not proved:"
    yield from (f"  {line}" for line in _NOT_PROVED)
