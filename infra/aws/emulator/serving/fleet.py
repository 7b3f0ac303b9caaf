"""The servers of an endpoint, one for each variant, and which of them gets a request."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from infra.aws.emulator.serving.server import started
from infra.aws.emulator.serving.variants import Variant
from infra.aws.emulator.world import World
from infra.rehearsal.served import ENDED, Server
from infra.storage import write_whole

_RENTED = "rented.json"


class Rented(NamedTuple):
    """The machines of a variant, as long as they were there; ``machine`` empty: serverless."""

    endpoint: str
    machine: str
    machines: int
    began: float
    seconds: float


class Fleet:
    """Servers that run, by the names of their variants."""

    def __init__(self, servers: Mapping[str, Server]) -> None:
        self.servers = servers
        self._credit = dict.fromkeys(servers, 0.0)
        self._lock = threading.Lock()

    def turn(self, weights: Mapping[str, float]) -> str:
        """Whose turn it is by the weights; over many requests each gets its share exactly."""
        with self._lock:
            for name, weight in weights.items():
                self._credit[name] += weight
            chosen = max(weights, key=lambda name: self._credit[name])
            self._credit[chosen] -= sum(weights.values())
            return chosen

    def stop(self) -> None:
        """End them all, at the same time."""
        ending = [threading.Thread(target=each.stop) for each in self.servers.values()]
        for each in ending:
            each.start()
        for each in ending:
            each.join()


def raised(world: World, endpoint: str, variants: list[Variant], halt: threading.Event) -> Fleet:
    """A fleet that is healthy, or none of it. Raises Unhealthy, Halted."""
    servers: dict[str, Server] = {}
    try:
        for each in variants:
            machine = place(world, endpoint) / each["name"] / _instance()
            machine.mkdir(parents=True)
            write_whole(machine / _RENTED, json.dumps(_rented(endpoint, each)))
            servers[each["name"]] = started(world, machine, each, halt)
    except BaseException:
        Fleet(servers).stop()
        raise
    return Fleet(servers)


def place(world: World, endpoint: str) -> Path:
    """Where the folders of an endpoint's servers lie: of each variant, and of each machine."""
    return world.folder / "endpoints" / endpoint


def began(instance: str) -> int:
    """When a machine began, in milliseconds since 1970: its name says so."""
    return int(instance.removeprefix("i-"), 16)


def rented(world: World) -> Iterator[Rented]:
    """Every machine that endpoints had, oldest first, those too that they have now."""
    files = (world.folder / "endpoints").glob(f"*/*/*/{_RENTED}")
    for file in sorted(files, key=lambda each: each.parent.name):
        start, ended = began(file.parent.name) / 1000, file.with_name(ENDED)
        end = ended.stat().st_mtime if ended.exists() else time.time()
        known = json.loads(file.read_text(encoding="utf-8"))
        yield Rented(**known, began=start, seconds=max(0.0, end - start))


def _rented(endpoint: str, variant: Variant) -> dict[str, Any]:
    machine = variant["asked"].get("InstanceType", "")
    return {"endpoint": endpoint, "machine": machine, "machines": variant["desired_count"]}


def _instance() -> str:
    return f"i-{time.time_ns() // 1_000_000:017x}"


def shares(record: Mapping[str, Any]) -> dict[str, float]:
    """The weight of each variant."""
    return {each["name"]: each["weight"] for each in record["variants"]}
