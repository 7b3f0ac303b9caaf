"""The way out, closed: a proxy on loopback that leads each host of a cloud to its stand-in.

An SDK finds it by ``HTTPS_PROXY`` and asks it to connect to a host. TLS ends here, under a
certificate that the rehearsal signed itself, and the bytes go on unread: whatever a client signs or
sums up stays as it was. A host that has no stand-in is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
import threading
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from infra.rehearsal.authority import Authority
from infra.rehearsal.log import Log
from infra.rehearsal.server import Call

REFUSED = "refused: nothing left this machine"
_CHUNK = 256 * 2**10
_BROKEN = (OSError, ssl.SSLError, asyncio.IncompleteReadError, asyncio.LimitOverrunError)


@contextlib.contextmanager
def proxying(routes: Mapping[str, str], authority: Authority, log: Log) -> Iterator[str]:
    """Serve while the block runs; yields the address.

    ``routes`` maps a pattern that a whole host name matches to the address of its stand-in
    (http://127.0.0.1:PORT); the first that matches counts.
    """
    proxy = _Proxy(routes, authority, log)
    thread = threading.Thread(target=asyncio.run, args=(proxy.run(),), daemon=True)
    thread.start()
    proxy.ready.wait()
    try:
        yield f"http://127.0.0.1:{proxy.port}"
    finally:
        proxy.stop()
        thread.join()


class _Proxy:
    def __init__(self, routes: Mapping[str, str], authority: Authority, log: Log) -> None:
        self._routes, self._authority, self._log = routes, authority, log
        self.ready = threading.Event()
        self.port = 0

    async def run(self) -> None:
        """Serve until told to stop; what is still connected then is cut off."""
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        self._loop.set_exception_handler(lambda *_: None)  # a client may leave at any moment
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_CHUNK)
        self.port = server.sockets[0].getsockname()[1]
        self.ready.set()
        await self._over.wait()
        server.close()

    def stop(self) -> None:
        """End ``run``, from another thread."""
        self._loop.call_soon_threadsafe(self._over.set)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with _closing(writer), contextlib.suppress(*_BROKEN):
            head = await reader.readuntil(b"\r\n\r\n")
            method, target = head.decode("latin-1").split(" ", 2)[:2]
            host = _host(method, target)
            upstream = self._upstream(host) if method == "CONNECT" else None
            if upstream is None:
                self._log.add(Call(method, host, {}, {}, b""), REFUSED, 0.0)
                writer.write(_refusal(host))
            else:
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await writer.start_tls(self._authority.context(host))
                await _join(reader, writer, upstream)
            writer.close()
            await writer.wait_closed()

    def _upstream(self, host: str) -> str | None:
        routes = self._routes.items()
        return next((there for pattern, there in routes if re.fullmatch(pattern, host)), None)


async def _join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, upstream: str) -> None:
    """Pass bytes both ways until one side ends."""
    there = urlsplit(upstream)
    its_reader, its_writer = await asyncio.open_connection(there.hostname, there.port)
    with _closing(its_writer):
        ways = [
            asyncio.create_task(_pump(reader, its_writer)),
            asyncio.create_task(_pump(its_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
        its_writer.close()
        await its_writer.wait_closed()


@contextlib.contextmanager
def _closing(writer: asyncio.StreamWriter) -> Iterator[None]:
    """Cut the connection off at the end, unless it has been closed in good order."""
    try:
        yield
    finally:
        writer.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(*_BROKEN):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()


def _host(method: str, target: str) -> str:
    """The host of a request line, without its port."""
    if method == "CONNECT":
        return target.rpartition(":")[0].strip("[]").lower()
    return urlsplit(target).hostname or target


def _refusal(host: str) -> bytes:
    body = f"{host} has no stand-in in this rehearsal; {REFUSED}\n".encode()
    head = f"HTTP/1.1 403 Forbidden\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body
