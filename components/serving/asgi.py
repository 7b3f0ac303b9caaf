"""HTTP as ASGI tells it: the body within its limit, the media wanted, an answer as messages."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from components.serving.errors import Refused

MAX_BODY = 8 * 2**20
DISCARDED = 64 * 2**20
"""How much of a body that is too long is still taken, and thrown away, once it was refused: who
sends it all before reading the answer would else find the connection reset, and no answer."""
DISCARD_SECONDS = 10.0
BODY_SECONDS = 30.0
"""How long a whole body may take to come."""
JSON, PNG = b"application/json", b"image/png"

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Answer(NamedTuple):
    """A response, whole."""

    body: bytes
    media: bytes = JSON
    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()


def refusal(error: Refused) -> Answer:
    """The answer that says why there is none."""
    headers = tuple(
        (name.replace("_", "-").encode(), value.encode()) for name, value in error.headers.items()
    )
    return Answer(json.dumps({"error": error.sentence}).encode(), JSON, error.status, headers)


async def read_body(receive: Receive, headers: Mapping[bytes, bytes]) -> bytes:
    """Read the whole body. Raises Refused once it is longer, or takes longer, than allowed."""
    too_long = Refused(413, f"the body is longer than {MAX_BODY} bytes; send fewer images at once")
    if int(headers.get(b"content-length", b"0")) > MAX_BODY:
        raise too_long
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _whole(receive, too_long)
    except TimeoutError:
        sentence = f"the body did not come whole within {BODY_SECONDS:g} seconds; send it again"
        raise Refused(408, sentence) from None


async def _whole(receive: Receive, too_long: Refused) -> bytes:
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(499, "the client has gone")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        more = message.get("more_body", False)
        if size > MAX_BODY:
            raise too_long
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def give(answer: Answer, receive: Receive, send: Send, last: bool) -> None:
    """Send an answer, the connection's ``last`` or not."""
    unread = answer.status == 413  # its client may still be sending what was not read
    headers = [
        (b"content-type", answer.media),
        (b"content-length", b"%d" % len(answer.body)),
        *answer.headers,
    ]
    if last or unread or answer.status == 408:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": unread})
    if unread:
        await _discard(receive)
        await send({"type": "http.response.body"})


async def _discard(receive: Receive) -> None:
    size, more = 0, True
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DISCARD_SECONDS):
            while more and size <= DISCARDED:
                message = await receive()
                size += len(message.get("body", b""))
                more = message.get("more_body", False)


@lru_cache(maxsize=256)
def wanted(accept: bytes, offers: tuple[bytes, ...]) -> bytes:
    """Which of the media types an Accept header wants most, the first of equals. Raises Refused."""
    if not accept.strip():
        return offers[0]
    ranges = accept.decode("latin-1").lower().split(",")
    best = max(offers, key=lambda offer: _wish(ranges, offer.decode()))
    if _wish(ranges, best.decode())[0] > 0:
        return best
    there = " or ".join(offer.decode() for offer in offers)
    raise Refused(406, f"this answer comes as {there}, which the Accept header does not allow")


def _wish(ranges: list[str], media: str) -> tuple[float, int]:
    """How much a media type is wanted, 0..1, and how exactly it was named."""
    exactness = ("*/*", f"{media.partition('/')[0]}/*", media)
    found = (0.0, -1)
    for each in ranges:
        name, *parameters = (word.strip() for word in each.split(";"))
        if name in exactness and exactness.index(name) > found[1]:
            quality = next((word[2:] for word in parameters if word.startswith("q=")), "1")
            found = (_number(quality), exactness.index(name))
    return found


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
