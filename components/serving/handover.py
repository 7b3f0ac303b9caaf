"""Listening sockets come from, and go to, another process: how a URL outlives its server.

Whoever starts a server gives it a listening unix socket (``--control-fd``), and tells it its
``--id`` and the name of a ``--record``: a JSON file whose "server" is the id of the one that is to
serve. Over a connection to the unix socket, one byte is a request, and may carry a socket:

    T + socket   serve on it, to be tested: nobody else knows its address
    L + socket   keep it, to serve on once the record names you
    G            send me the socket served on
    R            read the record

and is answered ``+`` (for G with the socket) or ``-``. When a connection ends, however that came
about, the record is read too. A server that it names serves on the socket that it was given to
keep; one that it does not name finishes its requests and ends. So the replacement of the record is
the one moment at which traffic moves, and who replaces it may die before and after.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from components.serving.server import Server


class Handover:
    """Answers on the control socket, in a thread of its own."""

    def __init__(self, server: Server, control: socket.socket, record: Path, own: str) -> None:
        self._server, self._control, self._record, self._own = server, control, record, own
        self._loop = asyncio.get_running_loop()
        self._kept: socket.socket | None = None
        self._serves = self._ends = False
        threading.Thread(target=self._accept, name="handover", daemon=True).start()

    def _accept(self) -> None:
        with self._control:
            while not self._ends:
                connection, _ = self._control.accept()
                with connection:
                    self._talk(connection)
                self._read()

    def _talk(self, connection: socket.socket) -> None:
        while True:
            try:
                word, handles, _, _ = socket.recv_fds(connection, 1, 1)
                if not word:
                    return
                self._answer(connection, word, [socket.socket(fileno=each) for each in handles])
            except OSError:
                return

    def _answer(self, connection: socket.socket, word: bytes, sent: list[socket.socket]) -> None:
        if word == b"G" and self._serves and self._server.listener is not None:
            socket.send_fds(connection, [b"+"], [self._server.listener.fileno()])
            return
        if word == b"T" and sent:
            self._do(lambda: self._server.listen(sent[0]))
        elif word == b"L" and sent:
            self._kept = sent[0]
        elif word == b"R":
            self._read()
        else:
            connection.sendall(b"-")
            return
        connection.sendall(b"+")

    def _read(self) -> None:
        """Do as the record says. Where it cannot be read, who serves goes on."""
        if self._ends:
            return
        named = self._named()
        if named == self._own:
            if (kept := self._kept) is not None:
                self._kept = None
                self._do(lambda: self._server.listen(kept))
            self._serves = True
        elif named is not None or not self._serves:
            self._ends = True
            self._do(self._server.drain)

    def _named(self) -> object:
        try:
            return json.loads(self._record.read_text(encoding="utf-8"))["server"]
        except (OSError, ValueError, LookupError, TypeError):
            return None

    def _do(self, work: Callable[[], None]) -> None:
        """Do something in the event loop, and wait until it is done."""

        async def done() -> None:
            work()

        asyncio.run_coroutine_threadsafe(done(), self._loop).result(30)
