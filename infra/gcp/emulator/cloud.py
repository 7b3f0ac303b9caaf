"""The whole of it: one project of Google Cloud on loopback, and every SDK led there."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from infra.gcp.emulator.account import credentials
from infra.gcp.emulator.machine import choose
from infra.gcp.emulator.names import named
from infra.gcp.emulator.objects import Objects
from infra.gcp.emulator.refusal import fail
from infra.gcp.emulator.world import World
from infra.rehearsal import held
from infra.rehearsal.clock import Clock
from infra.rehearsal.faults import Faults
from infra.rehearsal.ground import ground
from infra.rehearsal.log import Log
from infra.rehearsal.server import LOOPBACK, Answer, Call, serving
from infra.rehearsal.store import Store

_STORAGE = ("storage.googleapis.com", "www.googleapis.com")
_LOGGING = ("logging.googleapis.com",)


class Account(NamedTuple):
    """What there must be before a run: terraform makes it in a real project."""

    project: str
    number: str
    region: str
    accounts: frozenset[str]
    bucket: str


class Cloud(NamedTuple):
    """A cloud that is up."""

    world: World
    log: Log


@contextlib.contextmanager
def standing(
    account: Account,
    workspace: Path,
    scenario: Mapping[str, Any],
    runner: str = "process",
    environment: Mapping[str, str] | None = None,
    looking: bool = False,
) -> Iterator[Cloud]:
    """Stand while the block runs; what it knows is kept in the workspace.

    ``environment`` is laid over that of containers, as far as they have the variable. ``looking``
    starts nothing. Raises InputError.
    """
    from infra.gcp.emulator.logs import Logs
    from infra.gcp.emulator.parts import Parts

    world = World(
        folder=workspace / "vertex",
        project=account.project,
        number=account.number,
        region=account.region,
        accounts=account.accounts,
        store=Store(workspace / "vertex"),
        objects=Objects(workspace / "gcs"),
        machines=choose(runner, workspace),
        clock=Clock(scenario.get("speed", 1.0)),
        slots=threading.Semaphore(max(2, os.cpu_count() or 1)),
        scenario=scenario,
        environment=environment or {},
    )
    world.objects.make_bucket(account.bucket)
    parts = Parts(world, workspace, runner, looking)
    answering = _answers(account, world, parts, Logs(world, parts.logs), scenario)

    def answer(call: Call) -> Answer:
        return answering[call.header("Host").partition(":")[0]](call)

    log, faults = Log(workspace / "requests.jsonl", named), Faults(scenario.get("faults", ()))
    with (
        serving(answer, log, faults, fail, answering) as address,
        ground(_routes(account, address), log),
        credentials(workspace, account.project, address),
        contextlib.closing(parts),
        contextlib.nullcontext() if looking else held.answering(workspace, address),
    ):
        if not looking:
            parts.resume(address)
        yield Cloud(world, log)


@contextlib.contextmanager
def joined(account: Account, workspace: Path) -> Iterator[bool]:
    """Lead every SDK to the stand-in that goes on in a workspace; False where none does."""
    there = _there(workspace)
    if not there:
        yield False
        return
    log = Log(workspace / "requests.jsonl", named)
    with ground(_routes(account, there), log), credentials(workspace, account.project, there):
        yield True


def hosts(region: str) -> tuple[str, ...]:
    """The names that Vertex AI answers to."""
    return (f"{region}-aiplatform.googleapis.com", "aiplatform.googleapis.com")


def _answers(
    account: Account, world: World, parts: Any, logs: Any, scenario: Mapping[str, Any]
) -> dict[str, Callable[[Call], Answer]]:
    from infra.gcp.emulator import around
    from infra.gcp.emulator.serving.metadata import metadata
    from infra.gcp.emulator.storage import Storage
    from infra.gcp.emulator.vertex import Vertex

    vertex = Vertex(parts.operations(), (account.project, account.number))
    beside = around.Around(account.project, account.number, account.region, scenario)
    return {
        **dict.fromkeys(hosts(account.region), vertex.answer),
        **dict.fromkeys(_STORAGE, Storage(world.objects, world.number).answer),
        **dict.fromkeys(_LOGGING, logs.answer),
        **dict.fromkeys(around.HOSTS, beside.answer),
        **dict.fromkeys(LOOPBACK, metadata),
    }


def _routes(account: Account, address: str) -> dict[str, str]:
    from infra.gcp.emulator import around

    names = (*hosts(account.region), *_STORAGE, *_LOGGING, *around.HOSTS)
    return {re.escape(name): address for name in names}


def _there(workspace: Path) -> str:
    """The address of a stand-in that goes on; one that was killed leaves it, and is silent."""
    try:
        address = (workspace / "address").read_text(encoding="utf-8")
        parts = urlsplit(address)
        with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=5):
            return address
    except (OSError, ValueError):
        return ""
