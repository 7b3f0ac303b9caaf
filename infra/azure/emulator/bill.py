"""What a rehearsal would have cost: its jobs and endpoints by the prices of machines.toml."""

from __future__ import annotations

import math
from collections.abc import Iterator

from infra.azure import AzureSettings
from infra.azure.emulator.contract import Spec, of_command, of_node
from infra.azure.emulator.mounts import Unavailable
from infra.azure.emulator.serving.rented import rented
from infra.azure.emulator.world import World
from infra.prices import hourly
from infra.rehearsal.bill import Item


def items(world: World, since: float, settings: AzureSettings) -> Iterator[Item]:
    """The machines of each job and endpoint since a time (seconds since the epoch)."""
    for job in world.store.of("jobs"):
        if job["created"] < since or not job["attempts"]:
            continue
        spec = _spec(world, job["parent"], job["step"], job["name"])
        if spec is None:
            continue
        price = hourly("azure", spec.machine, settings.prices)
        usd = None if math.isnan(price) else price
        yield Item(job["step"], spec.machine, spec.nodes, job["seconds"], usd)
    yield from _endpoints(world, since, settings)


def _endpoints(world: World, since: float, settings: AzureSettings) -> Iterator[Item]:
    for each in rented(world):
        if each.began + each.seconds < since:
            continue
        price = hourly("azure", each.machine, settings.prices)
        usd = None if math.isnan(price) else price
        seconds = min(each.seconds, each.began + each.seconds - since)
        yield Item(f"endpoint {each.endpoint}", each.machine, each.machines, seconds, usd)


def _spec(world: World, parent: str, step: str, name: str) -> Spec | None:
    record = world.store.get("jobs", parent or name)
    try:
        if record is None:
            return None
        properties = record["properties"]
        return of_node(world, properties, step) if parent else of_command(world, properties)
    except Unavailable:
        return None
