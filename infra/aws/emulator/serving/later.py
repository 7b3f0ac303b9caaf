"""Asynchronous requests: the input lies in S3, and so will the answer."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Mapping

from infra.aws.emulator.world import World
from infra.rehearsal.served import Server

_SECONDS = 900.0
"""That a container has for an answer: an hour with AWS, here what a rehearsal can wait."""


class Later:
    """Requests under way, each in a thread."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._threads: list[threading.Thread] = []

    def begin(
        self, server: Server, headers: Mapping[str, str], source: str, success: str, failure: str
    ) -> None:
        """Have a server answer what lies at ``source``; the answer goes to one of two places.

        Without a place for ``failure`` an error is told by SNS alone, which nobody hears here.
        """
        given = (server, headers, source, success, failure)
        thread = threading.Thread(target=self._answer, args=given, daemon=True)
        self._threads.append(thread)
        thread.start()

    def close(self) -> None:
        """Wait for what is under way."""
        for thread in self._threads:
            thread.join()

    def _answer(
        self, server: Server, headers: Mapping[str, str], source: str, success: str, failure: str
    ) -> None:
        well, body = self._asked(server, headers, source)
        place = success if well else failure
        if place:
            self._world.objects.write(body, place)

    def _asked(self, server: Server, headers: Mapping[str, str], source: str) -> tuple[bool, bytes]:
        body = self._world.objects.read(source)
        if body is None:
            return False, f"Could not find the input at {source}.".encode()
        try:
            reply = server.ask("POST", "/invocations", body, headers, _SECONDS)
        except (OSError, http.client.HTTPException):
            return False, b"The container did not answer."
        return reply.status < http.client.BAD_REQUEST, reply.body
