"""What a rehearsal would have cost: its jobs by the prices of machines.toml, and its endpoints.

That table has no prices of endpoints; those that a person has set count.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from infra.aws import AwsSettings
from infra.aws.emulator.jobs import KINDS
from infra.aws.emulator.serving.fleet import rented
from infra.aws.emulator.serving.resource import ENDPOINT
from infra.aws.emulator.world import World
from infra.prices import hourly
from infra.rehearsal.bill import Item


def items(world: World, since: float, settings: AwsSettings) -> Iterator[Item]:
    """The machines of each job and endpoint since a time (seconds since the epoch)."""
    for kind in KINDS.values():
        for job in world.store.of(kind.word):
            if job["created"] < since:
                continue
            asked = kind.resources(job["request"])
            machine = asked.get("InstanceType", "")
            price = hourly("aws", machine, settings.prices)
            usd = None if math.isnan(price) else price
            count = int(asked.get("InstanceCount") or 1)
            yield Item(job["step"], machine, count, job["seconds"], usd)
    for each in rented(world):
        if each.began >= since and each.machine:
            what, own = f"endpoint {each.endpoint}", settings.prices.get(each.machine)
            yield Item(what, each.machine, each.machines, each.seconds, own)


def going_on(world: World) -> Iterator[str]:
    """What goes on costing money until somebody ends it."""
    for endpoint in world.store.of(ENDPOINT.kind):
        machines = [
            f"{each['desired_count']} x {each['asked']['InstanceType']}"
            for each in endpoint["variants"]
            if "InstanceType" in each["asked"]
        ]
        what = " and ".join(machines) if machines else "no machine, but pays by request"
        yield f"the endpoint {endpoint['name']} keeps {what} until it is stopped"
