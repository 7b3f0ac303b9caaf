"""Ends and removes what a run left in the workspace, found by its names and its tags.

Machines leave by themselves once no job is on them. Data stay where they are unless told: what
steps left, checkpoints, and the records of the run.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

from infra.azure import AzureSettings
from infra.azure.jobs import RUN
from infra.azure.looking import Looker
from infra.azure.serving.left import remove, unused
from infra.azure.serving.requests import of
from infra.azure.session import Azure, connected, required
from infra.azure.stopping import cancel, stop_attempt
from infra.azure.store import Blobs
from infra.cloud.reaping import keep_end, remove_data, wait_for
from infra.cloud.records import Attempt, Records
from infra.cloud.starting import forestall
from infra.plan import RunRef

_OVER = ("Completed", "Failed", "Canceled")


def reap(run: RunRef, settings: AzureSettings, *, data: bool = False) -> list[str]:
    """End all of a run; says what was done.

    ``data`` removes what lies in storage of it, too. Raises InputError on an unknown run.
    """
    azure = connected(settings)
    store = Blobs(azure, settings.datastore)
    records = Records(store, settings.prefix)
    attempts = records.attempts(run)
    if not attempts[-1].started and not attempts[-1].ended:  # nor may it start now
        forestall(records, attempts[-1], functools.partial(stop_attempt, azure))
    did = [*_end(azure, attempts), *_remove_unused(settings, run.run_id)]
    keep_end(records, attempts[-1], Looker(azure, store, attempts[-1]).look)
    return did + list(remove_data(store, settings.prefix, run.run_id)) if data else did


def left(settings: AzureSettings) -> dict[str, list[str]]:
    """By run: jobs that go on, and deployments without requests, which have a run's tag."""
    azure = connected(settings)
    found: dict[str, list[str]] = {}
    for job in azure.ask("list the jobs", lambda: list(azure.ml.jobs.list())):
        run_id = (job.tags or {}).get(RUN) if job else None
        if run_id and job.status not in _OVER:
            found.setdefault(run_id, []).append(f"{job.type} job {job.name}")
    for at, each in unused(of(settings)):
        found.setdefault(each.run, []).append(f"deployment {each.name} of {at.name}, never asked")
    return found


def _end(azure: Azure, attempts: list[Attempt]) -> Iterator[str]:
    """End what goes on, and wait for that."""
    for name in dict.fromkeys(name for each in attempts for name in _jobs_of(each.request)):
        if _over(azure, name):
            continue
        cancel(azure, name)
        wait_for(functools.partial(_over, azure, name), name, "Azure")
        yield f"job {name} ended"


def _remove_unused(settings: AzureSettings, run_id: str) -> Iterator[str]:
    """Delete what its step deploy left without requests, killed before it could."""
    for at, each in unused(of(settings)):
        if each.run == run_id and remove(at, each.name):
            yield f"deployment {each.name} of {at.name} deleted"


def _jobs_of(request: Mapping[str, Any]) -> Iterator[str]:
    """The jobs that the attempt itself starts; those of its pipeline end with it."""
    if request["main"]:
        yield request["main"]
    yield from (each["name"] for each in request["after"].values())


def _over(azure: Azure, name: str) -> bool:
    found = azure.run(name)
    return found is None or required(found, "status", of=f"the job {name}") in _OVER
