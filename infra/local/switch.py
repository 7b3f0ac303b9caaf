"""Move an endpoint's traffic to another version, at one moment and without losing a connection.

1. A server of the new version is started beside the old one, at an address of its own, and tried.
2. It is given the very socket on which the old one listens, and keeps it. There is one queue of
   connections throughout, so none is refused.
3. ``endpoint.json`` is replaced. This is the moment.
4. Both servers read it: the new one serves, the old one finishes its requests and ends.

A server reads it as well when its link to this process ends. So killed before 3, a deployer leaves
the old version serving, and killed after 3 the new one; a new server that was not named ends.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import time
from collections.abc import Iterator

from infra.errors import InputError, ProviderError
from infra.local.candidate import Candidate
from infra.local.endpointdir import HOST, Place, Record, Release
from infra.local.server import Link, Server


def switch(place: Place, release: Release, port: int | None, deadline: float) -> Record:
    """Serve a release at the endpoint, at ``port`` or where it was before.

    Raises InputError, and ProviderError when the release is no good: then the old one goes on.
    """
    before = place.record()
    old = place.server(before.server) if before else None
    try:
        return _switch(place, release, port or (before.port if before else 0), deadline)
    except ProviderError as error:
        if before and old and old.alive() and place.record() == before:
            raise ProviderError(f"{error}\nversion {before.current.version} still serves") from None
        raise


def _switch(place: Place, release: Release, port: int, deadline: float) -> Record:
    before = place.record()
    old = place.server(before.server) if before else None
    with contextlib.ExitStack() as held:
        link = held.enter_context(linked(old))
        takes_over = before is not None and before.port == port and old is not None and old.alive()
        listener = _given(link) if takes_over else bind(port)
        if listener is not None:
            held.enter_context(listener)
        candidate = held.enter_context(_started(place, release))
        candidate.try_out(deadline)
        if listener is None:  # the old one hangs, so there is nothing to lose
            assert old is not None  # noqa: S101
            old.kill()
            listener = held.enter_context(bind(port))
        candidate.keep(listener)
        record = Record(
            port=listener.getsockname()[1], current=release, previous=_previous(before, release),
            server=candidate.id, started=time.time(),
        )  # fmt: skip
        place.write(record)
        candidate.begin()
        with contextlib.suppress(OSError):
            if link is not None:
                link.read()
    return record


def _previous(before: Record | None, release: Release) -> Release | None:
    if before is None:
        return None
    return before.previous if before.current == release else before.current


@contextlib.contextmanager
def _started(place: Place, release: Release) -> Iterator[Candidate]:
    """A server without traffic; where the block fails before it is named, it is ended."""
    candidate = place.start(release)
    try:
        yield candidate
    except BaseException:
        record = place.record()
        if record is None or record.server != candidate.id:
            candidate.discard()
        raise
    finally:
        candidate.close()


@contextlib.contextmanager
def linked(server: Server | None) -> Iterator[Link | None]:
    """A link to a server, at whose end it reads endpoint.json. None where nobody listens."""
    link = None
    with contextlib.suppress(OSError):
        link = server.link() if server else None
    try:
        yield link
    finally:
        if link is not None:
            link.close()


def _given(link: Link | None) -> socket.socket | None:
    """The socket that a server listens on, None where it hangs."""
    with contextlib.suppress(OSError):
        return link.give() if link else None
    return None


def bind(port: int) -> socket.socket:
    """Listen on a port of this machine, any free one for 0. Raises InputError."""
    try:
        return socket.create_server((HOST, port), backlog=2048)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise InputError(
                f"port {port} is in use by another program; end that, or choose another endpoint, "
                "whose port will be free: deploy --endpoint NAME, or run --param endpoint=NAME"
            ) from None
        raise InputError(
            f"port {port} cannot be had ({error.strerror}); deploy to another endpoint"
        ) from None
