"""Azure ML on loopback, for rehearsals.

cloud.py        all of it at once                 world.py      what its parts share
account.py      whose it is, where nobody says    login.py      tokens
routing.py      which part answers a call         operations.py what takes its time
workspace.py    the workspace and its clusters    assets.py     environments, components, data
jobs.py         jobs                              pipelines.py  pipelines, of their nodes' jobs
drive.py        takes one job to its end          contract.py   what a container is promised
node.py         its nodes, each with folders      hindered.py   what a scenario keeps from it
mounts.py       storage as jobs see it            machine.py    a process, or a container
history.py      run history, and logs             blobs.py      Blob Storage, of blobstore.py
region.py       machines and quotas               registry.py   images
check.py        holds bodies against the model    refusal.py    how Azure refuses
names.py        what a call is called             bill.py       what it would have cost
scenarios.toml  what goes wrong
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from infra.azure import AzureSettings
from infra.azure.emulator.account import made_up, scope_of
from infra.rehearsal import scenario as scenarios
from infra.rehearsal.held import held

__all__ = ["made_up", "rehearse"]

_SCENARIOS = Path(__file__).with_name("scenarios.toml")
_POLL = 2.0
"""Seconds between two looks at most: at first there are far less, whatever this is."""
_NOT_PROVED = (
    "what the roles of Azure allow, quotas, and that there are machines: none was rented",
    "that the images can be pulled, and hold what this environment has",
    "how long machines take to come, and what spot machines are taken away",
    "how mounts of storage behave, networks, accelerators, and how fast several machines talk",
)


@contextlib.contextmanager
def rehearse(
    settings: AzureSettings,
    workspace: Path,
    scenario: str | None,
    runner: str = "process",
    say: Callable[[str], None] | None = None,
) -> Iterator[AzureSettings]:
    """Stand while the block runs; yields settings that reach this. See infra.rehearsal.

    Without a ``scenario`` what was rehearsed before can be looked at, and nothing is started; of a
    rehearsal that goes on elsewhere, things can be asked.
    Raises InputError at an unknown scenario, and while another rehearsal goes on.
    """
    chosen = scenarios.load(_SCENARIOS, scenario or "plain")
    from infra.azure.emulator.bill import items
    from infra.azure.emulator.cloud import joined, standing
    from infra.azure.emulator.serving.rented import going_on
    from infra.rehearsal.bill import told

    settings = made_up(settings, workspace)
    began, scope, folder = time.time(), scope_of(settings), workspace / "azure"
    if scenario is None:
        with joined(scope, folder) as there:
            if there:
                yield settings._replace(poll=_POLL)
                return
    with (
        held(folder) if scenario else contextlib.nullcontext(),
        standing(scope, folder, chosen, runner, looking=scenario is None) as cloud,
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
        yield "what Azure would have billed, machines alone:"
        yield from (f"  {line}" for line in bill)
    yield "not proved:"
    yield from (f"  {line}" for line in _NOT_PROVED)
