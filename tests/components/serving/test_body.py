"""A body that is too long: refused, and the refusal can be read."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from components.serving import asgi
from components.serving.app import App
from components.serving.asgi import DISCARDED, MAX_BODY
from tests.components.serving.asking import (  # noqa: F401  fixtures work by being here
    call,
    exchange,
    made_app,
    made_directory,
    scope,
    sending,
)
from tests.served import server, wait_ready

PART = b" " * 2**20
SENTENCE = f"the body is longer than {MAX_BODY} bytes; send fewer images at once"


@pytest.fixture(scope="module", name="url")
def made_url(directory: Path) -> Iterator[str]:
    """A server process."""
    with server("--model", directory) as (_, url):
        wait_ready(url)
        yield url


def by_httpx(url: str, size: int) -> tuple[int, Any]:
    found = httpx.post(url, content=b" " * size)
    return found.status_code, found.json()


def by_httpx_in_parts(url: str, size: int) -> tuple[int, Any]:
    found = httpx.post(url, content=(PART for _ in range(size // len(PART))))
    return found.status_code, found.json()


def by_urllib(url: str, size: int) -> tuple[int, Any]:
    """It says Connection: close, and reads nothing before all is sent."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(url, b" " * size)  # noqa: S310
    with caught.value as found:
        return found.code, json.loads(found.read())


def by_http_1_0(url: str, size: int) -> tuple[int, Any]:
    address = httpx.URL(url)
    with socket.create_connection((address.host, address.port or 0)) as connection:
        connection.sendall(b"POST /score HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % size)
        connection.sendall(b" " * size)
        found = http.client.HTTPResponse(connection)
        found.begin()
        return found.status, json.loads(found.read())


@pytest.mark.parametrize("client", [by_httpx, by_httpx_in_parts, by_urllib, by_http_1_0])
@pytest.mark.parametrize("size", [MAX_BODY + len(PART), 50 * 2**20])
def test_whoever_sends_too_much_can_read_why(url: str, client: Any, size: int) -> None:
    """A reset connection looks like a fault of the network, and is tried again and again."""
    assert client(f"{url}/score", size) == (413, {"error": SENTENCE})


def test_who_sends_without_an_end_is_cut_off(url: str) -> None:
    """Else one client keeps the server busy for as long as it likes."""
    address = httpx.URL(url)
    sent = 0
    with socket.create_connection((address.host, address.port or 0)) as connection:
        connection.sendall(b"POST /score HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while sent < 8 * DISCARDED:
                connection.sendall(b"%x\r\n%s\r\n" % (len(PART), PART))
                sent += len(PART)
    assert MAX_BODY < sent < 8 * DISCARDED


def test_who_stops_sending_is_not_waited_for_forever(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After ``Expect: 100-continue`` a client that was refused sends nothing more."""
    monkeypatch.setattr(asgi, "DISCARD_SECONDS", 0.0)

    async def nothing() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    head = scope("/score", "POST", {"Content-Length": str(MAX_BODY + 1)})
    status, headers, _ = asyncio.run(exchange(app, head, nothing))
    assert (status, headers["connection"]) == (413, "close")


def test_a_body_that_never_comes_is_refused(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else whoever announces a body and sends none holds a connection for ever."""
    monkeypatch.setattr(asgi, "BODY_SECONDS", 0.0)

    async def nothing() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    head = scope("/score", "POST", {"Content-Length": "10"})
    status, headers, body = asyncio.run(asyncio.wait_for(exchange(app, head, nothing), 20))
    assert (status, headers["connection"]) == (408, "close")
    assert "did not come whole" in json.loads(body)["error"]


def test_other_refusals_keep_the_connection(app: App) -> None:
    """The body was read, so the next request can follow."""
    for path, status in (("/nowhere", 404), ("/ping", 405), ("/sample", 400)):
        found, headers, _ = call(app, path, b"{", method="POST")
        assert (found, "connection" in headers) == (status, False)


def test_who_has_gone_is_not_answered_for(app: App) -> None:
    """What is half a request must not be computed."""
    assert asyncio.run(exchange(app, scope("/sample", "POST"), sending([])))[0] == 499
