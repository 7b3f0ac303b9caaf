"""uvicorn with listeners that come and go, and an end that loses no request."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Iterator

import uvicorn

from components.serving.app import App

LAME_SECONDS = 2.0
"""How long open but idle connections may still bring a request once draining began."""


class Server(uvicorn.Server):
    """Serves on the socket it is given, until SIGTERM or SIGINT; then it drains.

    Draining stops to listen at once; where another process listens on the same socket
    (``shared``), that one goes on. Requests under way and those on open connections are answered;
    after ``drain`` seconds what is left is cut off.
    """

    def __init__(self, app: App, drain: float, shared: bool = False) -> None:
        super().__init__(
            uvicorn.Config(
                app, lifespan="off", ws="none", log_config=None, access_log=False,
                server_header=False, timeout_keep_alive=75,
                timeout_graceful_shutdown=max(1, round(drain - LAME_SECONDS)),
            )
        )  # fmt: skip
        self._app = app
        self._shared = shared
        self._accepted: set[asyncio.Task[object]] = set()
        self._draining: asyncio.Task[None] | None = None
        self.listener: socket.socket | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Take signals in the event loop, where they can begin a drain."""
        await super().startup(sockets)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number)

    def listen(self, listener: socket.socket) -> None:
        """Serve on this socket from now on, instead of the one before.

        Connections are accepted here and not by ``loop.create_server``: that one drops what it
        has accepted but not yet set up when it is closed.
        """
        self._stop_listening()
        listener.setblocking(False)
        self.listener = listener
        asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def drain(self) -> None:
        """Begin to end; safe to repeat."""
        if self._draining is None:
            self._stop_listening()
            self._draining = asyncio.get_running_loop().create_task(self._drain())

    def _accept(self, listener: socket.socket) -> None:
        loop, config = asyncio.get_running_loop(), self.config

        def protocol() -> asyncio.Protocol:
            return config.http_protocol_class(  # type: ignore[call-arg]
                config=config, server_state=self.server_state, app_state={}
            )

        for _ in range(config.backlog):
            try:
                connection, _ = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:  # no more files may be open: let some be closed first
                print(f"no connection can be accepted: {error}", file=sys.stderr, flush=True)
                loop.remove_reader(listener)
                loop.call_later(1, self._resume, listener)
                return
            connection.setblocking(False)
            # asyncio sets this only where the listener was made with protocol TCP, not 0; without
            # it, answers wait 40 ms for the client's acknowledgement.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = loop.create_task(loop.connect_accepted_socket(protocol, connection))
            self._accepted.add(task)
            task.add_done_callback(self._accepted.discard)

    def _resume(self, listener: socket.socket) -> None:
        if self.listener is listener:
            asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def _stop_listening(self) -> None:
        if self.listener is not None:
            asyncio.get_running_loop().remove_reader(self.listener)
            self.listener.close()
            self.listener = None

    async def _drain(self) -> None:
        self._app.draining = True
        self._app.leaving = not self._shared
        waited = 0.0
        while waited < LAME_SECONDS and (self._accepted or self.server_state.connections):
            await asyncio.sleep(0.05)
            waited += 0.05
        self.should_exit = True

    def _on_signal(self, number: int) -> None:
        if number == signal.SIGINT and self._draining is not None:
            self.force_exit = self.should_exit = True  # Ctrl-C again: now
        self.drain()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: ``startup`` has set its own, and an end by SIGTERM is a good one."""
        yield
