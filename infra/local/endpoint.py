"""Endpoints on this machine: a server process behind a URL that stays the same.

Its directory is laid out by ``infra.local.endpointdir``; ``infra.local.switch`` moves traffic from
one version to another. Whoever acts on an endpoint ends the servers that it does not name.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from infra.errors import InputError, UnsupportedError
from infra.local.endpointdir import Place, Record, Release, opened, root
from infra.local.server import DRAIN
from infra.local.switch import bind, linked, switch
from infra.served import Endpoint
from infra.storage import tree, tree_digest

DEADLINE = 60.0
"""Seconds that a new version has to become ready."""


def check(
    *, workspace: Path, name: str, canary: int = 0, environment: Mapping[str, str] = os.environ
) -> None:
    """Refuse, before a run, what would make its deployment fail: another program has the port.

    Raises InputError, and UnsupportedError at a canary.
    """
    del environment  # the workspace says all
    if canary:
        raise UnsupportedError(
            "an endpoint of this machine is one server, and has no canary; leave it out"
        )
    place = Place(root(workspace, name))
    record = place.record()
    if record is None:
        return
    server = place.server(record.server)
    if server is None or not server.alive():
        bind(record.port).close()


def deploy(
    *,
    workspace: Path,
    name: str,
    version: str,
    model: Path,
    model_name: str = "",
    port: int | None = None,
    canary: int = 0,
    environment: Mapping[str, str] = os.environ,
    deadline: float = DEADLINE,
) -> Endpoint:
    """Serve a version at the endpoint; traffic moves only once it is ready and was tried.

    What already serves just that is left alone. Raises InputError, UnsupportedError at a canary,
    and ProviderError when the new version is no good: then the old one goes on serving.
    """
    del environment  # the server is this code, in this environment
    if canary:
        check(workspace=workspace, name=name, canary=canary)
    if not (model / "serving.json").is_file():
        raise InputError(f"{model} is no model to serve: it has no serving.json")
    if port is not None and not 0 < port < 2**16:
        raise InputError(f"port {port} is not in 1..65535")
    with opened(workspace, name, create=True) as place:
        files = tree(model)
        release = Release(model_name or name, version, tree_digest(files))
        record = place.record()
        if record and record.current == release and port in (None, record.port):
            found = place.look(record)
            if found.state == "serving":
                return found
        place.keep(release, model, files)
        return _switched(place, release, port, deadline)


def rollback(
    *,
    workspace: Path,
    name: str,
    environment: Mapping[str, str] = os.environ,
    deadline: float = DEADLINE,
) -> Endpoint:
    """Serve the version before the present one again, by the same switch. Raises InputError."""
    del environment
    with opened(workspace, name) as place:
        record = place.record()
        if record is None or record.previous is None:
            raise InputError(f"endpoint {name} has no earlier version to roll back to")
        return _switched(place, record.previous, None, deadline)


def stop(*, workspace: Path, name: str, environment: Mapping[str, str] = os.environ) -> Endpoint:
    """End the endpoint's server, requests under way first. Its address and models are kept."""
    del environment
    with opened(workspace, name) as place:
        record = place.record()
        if record is None:
            raise InputError(f"endpoint {name} was never deployed")
        stopped = Record(record.port, record.current, record.previous, "", record.started)
        with linked(place.server(record.server)):  # at whose end it reads that it is to end
            place.write(stopped)
        place.tidy(DRAIN + 2)
        return place.look(stopped)


def endpoints(*, workspace: Path, environment: Mapping[str, str] = os.environ) -> list[Endpoint]:
    """All endpoints of the workspace and how they are. Ends what a killed deployer left behind."""
    del environment
    found: list[Endpoint] = []
    for folder in sorted((workspace / "endpoints").glob("*/")):
        try:
            found += _looked_at(Place(folder))
        except InputError as damaged:
            nothing = Endpoint(folder.name, "", "", "damaged", None, None, None, str(damaged))
            found.append(nothing)
    return found


def _looked_at(place: Place) -> list[Endpoint]:
    """The endpoint, where anything was deployed there. Raises InputError at a damaged one."""
    with place.locked(wait=False) as ours:
        if ours:
            place.tidy()
    record = place.record()
    return [place.look(record)] if record else []


def _switched(place: Place, release: Release, port: int | None, deadline: float) -> Endpoint:
    record = switch(place, release, port, deadline)
    place.tidy()
    return place.look(record)
