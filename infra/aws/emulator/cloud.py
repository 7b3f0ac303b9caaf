"""The whole of it: one account of AWS on loopback, and every SDK led there."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from infra.aws import validate
from infra.aws.emulator.machine import choose
from infra.aws.emulator.moto import Moto
from infra.aws.emulator.names import named
from infra.aws.emulator.objects import Objects
from infra.aws.emulator.refusal import fail
from infra.aws.emulator.world import World
from infra.rehearsal import held
from infra.rehearsal.clock import Clock
from infra.rehearsal.faults import Faults
from infra.rehearsal.ground import ground
from infra.rehearsal.log import Log
from infra.rehearsal.server import Answer, Call, serving
from infra.rehearsal.store import Store

_MOTO = r"([\w.-]+\.)?(s3|sts|iam|monitoring|servicequotas)"
"""Hosts, up to the region, behind which moto stands."""
_OWN = ("api.sagemaker", "logs", "runtime.sagemaker", "application-autoscaling", "api.ecr")
"""Those for which the stand-in itself answers."""


class Account(NamedTuple):
    """What there must be before a run: terraform makes it in a real account."""

    number: str
    region: str
    roles: frozenset[str]
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
    starts nothing. Raises InputError, and ProviderError where moto does not start.
    """
    requests, faults = workspace / "requests.jsonl", scenario.get("faults", ())
    moto = Moto(
        workspace / "s3", requests, account.number, faults,
        account.roles, account.region, account.bucket,
    )  # fmt: skip
    with contextlib.closing(moto):
        from infra.aws.emulator.images import Images
        from infra.aws.emulator.logs import Logs
        from infra.aws.emulator.sagemaker import SageMaker
        from infra.aws.emulator.serving.runtime import Runtime
        from infra.aws.emulator.serving.scaling import Scaling

        objects = Objects(moto.address, account.region)
        world = World(
            folder=workspace / "sagemaker",
            region=account.region,
            account=account.number,
            roles=account.roles,
            store=Store(workspace / "sagemaker"),
            objects=objects,
            machines=choose(runner, workspace, scenario.get("commands", {})),
            clock=Clock(scenario.get("speed", 1.0)),
            slots=threading.Semaphore(max(2, os.cpu_count() or 1)),
            scenario=scenario,
            environment=environment or {},
        )
        sagemaker, logs = SageMaker(world), Logs(world)
        runtime = Runtime(world, sagemaker.endpoints)
        answers = (
            sagemaker.answer, logs.answer, runtime.answer, Scaling(world).answer,
            Images(scenario).answer,
        )  # fmt: skip
        hosts = (f"{name}.{account.region}.amazonaws.com" for name in _OWN)
        answering = dict(zip(hosts, answers, strict=True))

        def answer(call: Call) -> Answer:
            return answering[call.header("Host").partition(":")[0]](call)

        log = Log(requests, named)
        with (
            serving(answer, log, Faults(faults), fail, answering) as address,
            ground(_routes(account, answering, address, moto.address), log),
            contextlib.closing(runtime),
            contextlib.closing(sagemaker),
            contextlib.nullcontext() if looking else held.answering(
                workspace, f"{address} {moto.address}"
            ),
        ):  # fmt: skip
            validate.operations()  # megabytes, read while moto starts
            moto.wait()
            if not looking:
                sagemaker.resume()
            yield Cloud(world, log)


@contextlib.contextmanager
def joined(account: Account, workspace: Path) -> Iterator[bool]:
    """Lead every SDK to the stand-in that goes on in a workspace; False where none does."""
    there = _there(workspace)
    if there is None:
        yield False
        return
    hosts = [f"{name}.{account.region}.amazonaws.com" for name in _OWN]
    with ground(_routes(account, hosts, *there), Log(workspace / "requests.jsonl", named)):
        yield True


def _routes(account: Account, hosts: Iterable[str], own: str, moto: str) -> dict[str, str]:
    return {
        **{name.replace(".", r"\."): own for name in hosts},
        rf"{_MOTO}(\.{account.region})?\.amazonaws\.com": moto,
    }


def _there(workspace: Path) -> tuple[str, str] | None:
    """The addresses of a stand-in that goes on; one that was killed leaves them, and is silent."""
    try:
        own, moto = (workspace / "address").read_text(encoding="utf-8").split()
        for address in (own, moto):
            parts = urlsplit(address)
            with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=5):
                pass
    except (OSError, ValueError):
        return None
    return own, moto
