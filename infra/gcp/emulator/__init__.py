"""Google Cloud on loopback, for rehearsals.

cloud.py        all of it at once                 world.py      what its parts share
account.py      whose it is, where nobody says    parts.py      what Vertex AI is made of here
vertex.py       its API, by Google's description  refusal.py    how Google refuses
jobs.py         CustomJobs                        drive.py      takes one to its end
replicas.py     what its containers find          machine.py    a process, or a container
pipelines.py    PipelineJobs                      tasks.py      what is told of their tasks
unlowered.py    what was posted, as it is run     launch.py     stands in for Google's launcher
rented.py       the scenario, for their machines  bill.py       what it would have cost
storage.py      Cloud Storage                     objects.py    what lies there, as folders
logs.py         Cloud Logging                     around.py     tokens, the project, images
names.py        what a call is called             serving/      endpoints, and who asks them
scenarios.toml  what goes wrong
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from infra.gcp import GcpSettings
from infra.gcp.emulator.account import accounts_of, made_up, number_of
from infra.rehearsal import scenario as scenarios
from infra.rehearsal.held import held

__all__ = ["made_up", "rehearse"]

_SCENARIOS = Path(__file__).with_name("scenarios.toml")
_POLL = 2.0
"""Seconds between two looks at most: at first there are far less, whatever this is."""
_NOT_PROVED = (
    "what IAM allows, quotas, and that there are machines: none was rented",
    "that Vertex AI takes every field of this IR, and Google's launcher what it is told",
    "that the images can be pulled, and hold what this environment has",
    "how long machines take to come, and how spot machines are taken away",
    "/gcs: it was a folder here, where buckets are mounted there",
    "networks, keys of KMS, accelerators, and how fast several machines talk",
)


@contextlib.contextmanager
def rehearse(
    settings: GcpSettings,
    workspace: Path,
    scenario: str | None,
    runner: str = "process",
    say: Callable[[str], None] | None = None,
) -> Iterator[GcpSettings]:
    """Stand while the block runs; yields settings that reach this. See infra.rehearsal.

    Without a ``scenario`` what was rehearsed before can be looked at, and nothing is started; of a
    rehearsal that goes on elsewhere, things can be asked.
    Raises InputError at an unknown scenario, and while another rehearsal goes on.
    """
    chosen = scenarios.load(_SCENARIOS, scenario or "plain")
    from infra.gcp.emulator.bill import going_on, items
    from infra.gcp.emulator.cloud import Account, joined, standing
    from infra.rehearsal.bill import told

    settings = made_up(settings, workspace)
    began = time.time()
    account = Account(
        settings.project, number_of(settings.project), settings.region, accounts_of(settings),
        settings.bucket,
    )  # fmt: skip
    folder = workspace / "gcp"
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
        yield "what Vertex AI would have billed of custom jobs and endpoints, machines alone:"
        yield from (f"  {line}" for line in bill)
    yield "not proved:"
    yield from (f"  {line}" for line in _NOT_PROVED)
