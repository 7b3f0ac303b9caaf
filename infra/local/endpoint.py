"""Endpoints on this machine: a server process behind a URL that stays the same.

Its directory is laid out by ``infra.local.endpointdir``.

A new version is started beside the old one, tried out at an address of its own, and only then
given the very socket on which the old one listens. There is one queue of connections throughout,
so none is refused or lost; the old server finishes its requests and ends.

``endpoint.json`` is replaced at one moment. Killed before it, a deployer leaves the old version
serving; after it, the new one. Servers that it does not name are ended by whoever comes next.
"""

from __future__ import annotations

import errno
import socket
import time
from pathlib import Path

from infra.errors import InputError, ProviderError
from infra.local.endpointdir import HOST, Endpoint, Place, Record, Release, opened
from infra.local.server import DRAIN, Candidate
from infra.storage import tree, tree_digest

DEADLINE = 60.0
"""Seconds that a new version has to become ready."""


def deploy(
    *,
    workspace: Path,
    name: str,
    version: str,
    model: Path,
    model_name: str = "",
    port: int | None = None,
    deadline: float = DEADLINE,
) -> Endpoint:
    """Serve a version at the endpoint; traffic moves only once it is ready and was tried.

    What already serves just that is left alone. Raises InputError, and ProviderError when the new
    version is no good: then the old one goes on serving.
    """
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
        return _switch(place, release, port, deadline)


def rollback(*, workspace: Path, name: str, deadline: float = DEADLINE) -> Endpoint:
    """Serve the version before the present one again, by the same switch. Raises InputError."""
    with opened(workspace, name) as place:
        record = place.record()
        if record is None or record.previous is None:
            raise InputError(f"endpoint {name} has no earlier version to roll back to")
        return _switch(place, record.previous, None, deadline)


def stop(*, workspace: Path, name: str) -> Endpoint:
    """End the endpoint's server, requests under way first. Its address and models are kept."""
    with opened(workspace, name) as place:
        record = place.record()
        if record is None:
            raise InputError(f"endpoint {name} was never deployed")
        stopped = Record(record.port, record.current, record.previous, "", record.started)
        place.write(stopped)
        place.tidy(DRAIN + 2)
        return place.look(stopped)


def endpoints(*, workspace: Path) -> list[Endpoint]:
    """All endpoints of the workspace and how they are. Ends what a killed deployer left behind."""
    found = []
    for folder in sorted((workspace / "endpoints").glob("*/")):
        place = Place(folder)
        with place.locked(wait=False) as ours:
            if ours:
                place.tidy()
        record = place.record()
        if record is not None:
            found.append(place.look(record))
    return found


def _switch(place: Place, release: Release, port: int | None, deadline: float) -> Endpoint:
    before = place.record()
    running = place.server(before.server) if before else None
    wanted = port or (before.port if before else 0)
    takes_over = running is not None and running.alive() and before and before.port == wanted
    listener = running.give() if running and takes_over else bind(wanted)
    try:
        candidate = _tried(place, release, deadline)
        try:
            if listener is None:  # it hangs, so there is nothing to lose; now there is better
                assert running is not None  # noqa: S101
                running.kill()
                listener = bind(wanted)
            candidate.serve(listener)
        except BaseException:
            candidate.discard()
            raise
        port = listener.getsockname()[1]
    except ProviderError as error:
        if before and running and running.alive():
            raise ProviderError(f"{error}\nversion {before.current.version} still serves") from None
        raise
    finally:
        if listener is not None:
            listener.close()
    previous = before.previous if before else None
    if before and before.current != release:
        previous = before.current
    record = Record(port, release, previous, candidate.id, time.time())
    try:
        place.write(record)
    except BaseException:
        candidate.discard()
        raise
    place.tidy()
    return place.look(record)


def _tried(place: Place, release: Release, deadline: float) -> Candidate:
    """Start a server of a release and try it out. Raises ProviderError and leaves none then."""
    candidate = place.start(release)
    try:
        candidate.try_out(deadline)
    except BaseException:
        candidate.discard()
        raise
    return candidate


def bind(port: int) -> socket.socket:
    """Listen on a port of this machine, any free one for 0. Raises InputError."""
    try:
        return socket.create_server((HOST, port), backlog=2048)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise InputError(
                f"port {port} is in use by another program; end that, or deploy to another "
                "endpoint, whose port will be free: --param endpoint=NAME"
            ) from None
        raise InputError(
            f"port {port} cannot be had ({error.strerror}); deploy to another endpoint"
        ) from None
