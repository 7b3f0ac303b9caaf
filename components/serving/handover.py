"""Listening sockets come from, and go to, another process: how a URL outlives its server.

Whoever starts a server gives it a listening unix socket (``--control-fd``). Over a connection to
that, one byte is a request, and may carry a socket:

    T + socket   serve on it, to be tested: nobody else knows its address
    L + socket   serve on it from now on, instead
    G            send me the socket served on

and is answered ``+`` (for G with the socket) or ``-``. Until there was an L the server belongs to
that connection: when it ends, the server does too, so a starter that dies leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import socket
import threading

from components.serving.server import Server


class Handover:
    """Answers on the control socket, in a thread of its own."""

    def __init__(self, server: Server, control: socket.socket) -> None:
        self._server, self._control = server, control
        self._loop = asyncio.get_running_loop()
        self._public = False
        threading.Thread(target=self._accept, name="handover", daemon=True).start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._control.accept()
            with connection:
                self._talk(connection)
            if not self._public:
                self._loop.call_soon_threadsafe(self._server.drain)
                return

    def _talk(self, connection: socket.socket) -> None:
        while True:
            try:
                word, handles, _, _ = socket.recv_fds(connection, 1, 1)
                if not word:
                    return
                self._answer(connection, word, handles)
            except OSError:
                return

    def _answer(self, connection: socket.socket, word: bytes, handles: list[int]) -> None:
        if word in {b"T", b"L"} and handles:
            listening = self._listen(socket.socket(fileno=handles[0]))
            asyncio.run_coroutine_threadsafe(listening, self._loop).result(30)
            self._public = self._public or word == b"L"
            connection.sendall(b"+")
        elif word == b"G" and self._public and self._server.listener is not None:
            socket.send_fds(connection, [b"+"], [self._server.listener.fileno()])
        else:
            connection.sendall(b"-")

    async def _listen(self, listener: socket.socket) -> None:
        self._server.listen(listener)
