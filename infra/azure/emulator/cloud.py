"""The whole of it: one workspace of Azure ML on loopback, and every SDK led there."""

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

from infra.azure.emulator.assets import Assets
from infra.azure.emulator.blobs import Blobs
from infra.azure.emulator.blobstore import BlobStore
from infra.azure.emulator.history import History
from infra.azure.emulator.jobs import Jobs
from infra.azure.emulator.login import HOST as LOGIN
from infra.azure.emulator.login import Login, require
from infra.azure.emulator.machine import choose
from infra.azure.emulator.names import named
from infra.azure.emulator.operations import Operations
from infra.azure.emulator.refusal import Refused, fail, refusal
from infra.azure.emulator.region import Region
from infra.azure.emulator.registry import HOSTS as REGISTRIES
from infra.azure.emulator.registry import Registry
from infra.azure.emulator.routing import Router
from infra.azure.emulator.serving import Serving
from infra.azure.emulator.serving.gateway import hosts_of_endpoints
from infra.azure.emulator.workspace import Workspace
from infra.azure.emulator.world import Scope, World
from infra.rehearsal import held
from infra.rehearsal.clock import Clock
from infra.rehearsal.faults import Faults
from infra.rehearsal.ground import ground
from infra.rehearsal.log import Log
from infra.rehearsal.server import Answer, Call, serving
from infra.rehearsal.store import Store

ARM = "management.azure.com"
AUDIENCES = ("https://management.azure.com", "https://management.core.windows.net")
_OWN = ("https://ml.azure.com", *AUDIENCES)
_SIGNATURE = "made-up-for-a-rehearsal"


class Cloud(NamedTuple):
    """A cloud that is up."""

    world: World
    log: Log


@contextlib.contextmanager
def standing(
    scope: Scope,
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
    operations = Operations(f"https://{ARM}{scope.path}")
    world = World(
        folder=workspace / "azureml",
        scope=scope,
        store=Store(workspace / "azureml"),
        blobs=BlobStore(workspace / "blobs"),
        operations=operations,
        machines=choose(runner, workspace),
        clock=Clock(scenario.get("speed", 1.0)),
        slots=threading.Semaphore(max(2, os.cpu_count() or 1)),
        scenario=scenario,
        environment=environment or {},
    )
    world.blobs.make(scope.container)
    jobs = Jobs(world)
    endpoints = Serving(world, runner, workspace, scenario.get("commands", {}))
    router = Router(
        (scope.subscription, scope.group, scope.workspace),
        [
            *Workspace(world, _SIGNATURE).routes(), *Assets(world).routes(), *jobs.routes(),
            *operations.routes(), *endpoints.routes(), *Region(world).routes(),
        ],
    )  # fmt: skip
    history = History(world, jobs, _SIGNATURE)
    answers = (
        Login().answer, _guarded(router.answer, AUDIENCES), _guarded(history.answer, _OWN),
        Blobs(world.blobs, _SIGNATURE).answer, endpoints.gateway.answer,
        Registry(scenario).answer,
    )  # fmt: skip
    hosts = dict(zip(_hosts_of(scope), answers, strict=True))
    log = Log(workspace / "requests.jsonl", named)
    answering = _Hosts(hosts)
    with (
        serving(answering.answer, log, Faults(scenario.get("faults", ())), fail, answering) as at,
        ground(dict.fromkeys(hosts, at), log),
        contextlib.closing(endpoints),
        contextlib.closing(jobs),
        contextlib.nullcontext() if looking else held.answering(workspace, at),
    ):
        if not looking:
            jobs.resume()
            endpoints.resume()
        yield Cloud(world, log)


@contextlib.contextmanager
def joined(scope: Scope, workspace: Path) -> Iterator[bool]:
    """Lead every SDK to the stand-in that goes on in a workspace; False where none does."""
    there = _there(workspace)
    if there is None:
        yield False
        return
    log = Log(workspace / "requests.jsonl", named)
    with ground(dict.fromkeys(_hosts_of(scope), there), log):
        yield True


def _hosts_of(scope: Scope) -> tuple[str, ...]:
    """Patterns of its hosts: login, ARM, the workspace's own, storage, endpoints, registries."""
    own = (f"{scope.region}.api.azureml.ms", f"{scope.account}.blob.core.windows.net")
    return (
        *(re.escape(host) for host in (LOGIN, ARM, *own)),
        hosts_of_endpoints(scope.region),
        REGISTRIES,
    )


def _there(workspace: Path) -> str | None:
    """The address of a stand-in that goes on; one that was killed leaves it, and is silent."""
    try:
        address = (workspace / "address").read_text(encoding="utf-8")
        parts = urlsplit(address)
        with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=5):
            return address
    except (OSError, ValueError):
        return None


class _Hosts:
    """Which part answers for a host; a container of the names that are answered to."""

    def __init__(self, hosts: Mapping[str, Callable[[Call], Answer]]) -> None:
        self._hosts = hosts

    def __contains__(self, host: object) -> bool:
        return self._of(str(host)) is not None

    def answer(self, call: Call) -> Answer:
        """What a call is answered, by the host that it asks."""
        found = self._of(call.header("Host").partition(":")[0])
        assert found is not None  # noqa: S101  the server answers to these alone
        return found(call)

    def _of(self, host: str) -> Callable[[Call], Answer] | None:
        return next((a for each, a in self._hosts.items() if re.fullmatch(each, host)), None)


def _guarded(
    answer: Callable[[Call], Answer], audiences: tuple[str, ...]
) -> Callable[[Call], Answer]:
    """Answers with the refusal, and only to whom has a token for this service."""

    def guarded(call: Call) -> Answer:
        try:
            if not call.path.endswith("/discovery"):
                require(call, *audiences)
            return answer(call)
        except Refused as refused:
            return refusal(refused, call)

    return guarded
