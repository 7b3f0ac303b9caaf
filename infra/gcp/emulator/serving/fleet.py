"""The servers of all endpoints, and whose turn it is to be asked."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from infra.gcp.emulator.serving.server import Place, Started, started
from infra.gcp.emulator.world import Record, World
from infra.local.process import end_orphan
from infra.local.rundir import StepDirectory
from infra.rehearsal.served import ENDED
from infra.storage import write_whole

_RENTED = "rented.json"
_HALT = 10.0
"""Seconds that a server of a rehearsal that was killed has to end."""


class Rented(NamedTuple):
    """The machines of what is deployed, as long as they were there."""

    endpoint: str
    machine: str
    machines: int
    began: float
    seconds: float


class Fleet:
    """Servers that run, by endpoint and what is deployed there."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._servers: dict[tuple[str, str], Started] = {}
        self._credit: dict[tuple[str, str], float] = {}
        self._raising: dict[tuple[str, str], threading.Lock] = {}
        self._turns = threading.Lock()
        self._halt = threading.Event()

    def raised(
        self, endpoint: str, deployed: str, given: Mapping[str, Any], version: Record,
        halt: threading.Event,
    ) -> Started:  # fmt: skip
        """A server that is healthy, from now on kept. Raises Refused, Halted."""
        folder = self._folder(endpoint) / deployed / f"i-{time.time_ns() // 1_000_000:017x}"
        resources = given["asked"].get("dedicatedResources", {})
        machine = resources.get("machineSpec", {})
        about = {"endpoint": endpoint, "machine": machine.get("machineType", "")}
        folder.mkdir(parents=True)
        least = {"machines": int(resources.get("minReplicaCount") or 1)}
        write_whole(folder / _RENTED, json.dumps({**about, **least}))
        server = started(self._world, folder, version, Place(endpoint, deployed, machine), halt)
        self._servers[endpoint, deployed] = server
        return server

    def get(
        self, endpoint: str, deployed: str, given: Mapping[str, Any], version: Record
    ) -> Started:
        """The server of what is deployed; started where an earlier rehearsal ended it."""
        key = (endpoint, deployed)
        if found := self._servers.get(key):
            return found
        with self._turns:
            raising = self._raising.setdefault(key, threading.Lock())
        with raising:  # of this one: others answer meanwhile
            found = self._servers.get(key)
            return found or self.raised(endpoint, deployed, given, version, self._halt)

    def turn(self, endpoint: str, shares: Mapping[str, int]) -> str:
        """Whose turn it is by the shares; over many requests each gets its own exactly."""
        with self._turns:
            for name, share in shares.items():
                key = (endpoint, name)
                self._credit[key] = self._credit.get(key, 0.0) + share
            chosen = max(shares, key=lambda name: self._credit[endpoint, name])
            self._credit[endpoint, chosen] -= sum(shares.values())
            return chosen

    def end(self, endpoint: str, deployed: str) -> None:
        """End a server, once its requests are answered."""
        with self._turns:
            self._credit.pop((endpoint, deployed), None)
        if server := self._servers.pop((endpoint, deployed), None):
            server.stop()

    def close(self) -> None:
        """End them all, at the same time."""
        self._halt.set()
        ending = [threading.Thread(target=each.stop) for each in self._servers.values()]
        for each in ending:
            each.start()
        for each in ending:
            each.join()

    def end_orphans(self) -> None:
        """End what a rehearsal that was killed left running."""
        for alive in (self._world.folder / "endpoints").glob("*/*/*/alive"):
            if end_orphan(StepDirectory(alive.parent), _HALT):
                (alive.parent / ENDED).touch()

    def logs(self, endpoint: str) -> list[tuple[str, Path, float]]:
        """Each log of an endpoint: its name, its file, and when it began, oldest first."""
        files = sorted(self._folder(endpoint).glob("*/*/log"), key=lambda file: file.parent.name)
        return [(file.parent.parent.name, file, _began(file.parent)) for file in files]

    def _folder(self, endpoint: str) -> Path:
        """Where the folders of an endpoint's servers lie: of what is deployed, of each machine."""
        return self._world.folder / "endpoints" / endpoint


def rented(world: World) -> Iterator[Rented]:
    """Every machine that endpoints had, oldest first, those too that they have now."""
    files = (world.folder / "endpoints").glob(f"*/*/*/{_RENTED}")
    for file in sorted(files, key=lambda each: each.parent.name):
        ended = file.with_name(ENDED)
        end = ended.stat().st_mtime if ended.exists() else time.time()
        known, began = json.loads(file.read_text(encoding="utf-8")), _began(file.parent)
        yield Rented(**known, began=began, seconds=max(0.0, end - began))


def _began(folder: Path) -> float:
    """When a machine began: the name of its folder says so."""
    return int(folder.name.removeprefix("i-"), 16) / 1000
