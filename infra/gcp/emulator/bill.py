"""What a rehearsal would have cost: custom jobs by the prices of machines.toml, and endpoints.

Of a pipeline's own steps Vertex AI chooses the machines itself: nobody knows which.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from infra.gcp import GcpSettings
from infra.gcp.emulator.drive import KIND
from infra.gcp.emulator.serving.endpoints import KIND as ENDPOINT
from infra.gcp.emulator.serving.fleet import rented
from infra.gcp.emulator.world import World
from infra.gcp.machines import called
from infra.gcp.names import STEP
from infra.prices import hourly
from infra.rehearsal.bill import Item


def items(world: World, since: float, settings: GcpSettings) -> Iterator[Item]:
    """The machines of each custom job and endpoint since a time (seconds since the epoch)."""
    for job in world.store.of(KIND):
        if job["created"] < since:
            continue
        body = job["body"]
        step = body.get("labels", {}).get(STEP, body["displayName"])
        for pool in body["jobSpec"]["workerPoolSpecs"]:
            machine = called(pool["machineSpec"])
            price = hourly("gcp", machine, settings.prices)
            usd = None if math.isnan(price) else price
            yield Item(step, machine, int(pool.get("replicaCount") or 1), job["seconds"], usd)
    for each in rented(world):
        if each.began >= since:  # what serves has prices of its own
            what, own = f"endpoint {each.endpoint}", settings.prices.get(each.machine)
            yield Item(what, each.machine, each.machines, each.seconds, own)


def going_on(world: World) -> Iterator[str]:
    """What goes on costing money until somebody ends it."""
    for endpoint in world.store.of(ENDPOINT):
        kinds = [
            each["asked"]["dedicatedResources"]["machineSpec"]["machineType"]
            for each in endpoint["deployed"].values()
        ]
        if kinds:
            yield f"the endpoint {endpoint['name']} keeps {' and '.join(kinds)} until it is stopped"
