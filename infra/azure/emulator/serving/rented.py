"""How long which machines were there for endpoints: what a rehearsal would have been billed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import NamedTuple

from infra.azure.emulator.world import World
from infra.rehearsal.served import ENDED

RENTED = "rented.json"


class Rented(NamedTuple):
    """The machines of a deployment, as long as they were there. Times are in seconds."""

    endpoint: str
    deployment: str
    machine: str
    machines: int
    began: float
    seconds: float


def rented(world: World) -> Iterator[Rented]:
    """Every machine that endpoints had, oldest first, those too that they have now."""
    files = (world.folder / "endpoints").glob(f"*/*/*/{RENTED}")
    for file in sorted(files, key=lambda each: each.parent.name):
        start, ended = int(file.parent.name[2:], 16) / 1000, file.with_name(ENDED)
        end = ended.stat().st_mtime if ended.exists() else time.time()
        known = json.loads(file.read_text(encoding="utf-8"))
        yield Rented(**known, began=start, seconds=max(0.0, end - start))


def going_on(world: World) -> Iterator[str]:
    """What goes on costing when the rehearsal ends, in words."""
    for record in world.store.of("deployments"):
        asked = record["request"]
        machine = asked["properties"].get("instanceType", "")
        count = int((asked.get("sku") or {}).get("capacity") or 1)
        endpoint, _, name = record["name"].partition(".")
        yield f"the endpoint {endpoint} keeps {count} x {machine} for {name} until it is stopped"


def instance() -> str:
    """The name of a new machine: it says when it began."""
    return f"i-{time.time_ns() // 1_000_000:017x}"
