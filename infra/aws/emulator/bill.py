"""What the jobs of a rehearsal would have cost, by the prices of machines.toml."""

from __future__ import annotations

import math
from collections.abc import Iterator

from infra.aws import AwsSettings
from infra.aws.emulator.jobs import KINDS
from infra.aws.emulator.world import World
from infra.prices import hourly
from infra.rehearsal.bill import Item


def items(world: World, since: float, settings: AwsSettings) -> Iterator[Item]:
    """The machines of each job that was asked for since a time (seconds since the epoch)."""
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
