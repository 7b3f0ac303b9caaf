"""What tests of the model server share: an application that is ready, and how to ask it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.serving.app import App
from components.serving.asgi import Receive, Scope
from components.serving.operations import Model
from tests.served import write_model

Answer = tuple[int, dict[str, str], bytes]


@pytest.fixture(scope="module", name="directory")
def made_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model: 8x8, 17 levels, all three operations."""
    return write_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module", name="app")
def made_app(directory: Path) -> Iterator[App]:
    """Version 7 of ``digits``, with the routes that Vertex might ask for."""
    ready = App("7", "digits", "/healthz", "/v1/predict")
    model = Model(directory)
    ready.ready(model, model.warm_up())
    yield ready
    ready.close()


def scope(path: str, method: str, headers: dict[str, str] | None = None) -> Scope:
    """A request's head, as ASGI has it."""
    route, _, query = path.partition("?")
    return {
        "type": "http", "path": route, "query_string": query.encode(), "method": method,
        "headers": [(k.lower().encode(), v.encode()) for k, v in (headers or {}).items()],
    }  # fmt: skip


def sending(parts: Iterable[bytes]) -> Receive:
    """A body that comes in parts; after them the client has gone."""
    waiting = list(parts)

    async def receive() -> dict[str, Any]:
        if not waiting:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}

    return receive


async def exchange(app: App, head: Scope, receive: Receive) -> Answer:
    """Ask the application without a socket."""
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(head, receive, send)
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    content = b"".join(message.get("body", b"") for message in sent[1:])
    assert len(content) == int(found["content-length"])
    return sent[0]["status"], found, content


def call(
    app: App,
    path: str,
    body: object = None,
    *,
    method: str = "",
    headers: dict[str, str] | None = None,
) -> Answer:
    """Ask once; ``body`` is bytes or becomes JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode() if body else b""
    head = scope(path, method or ("POST" if body is not None else "GET"), headers)
    return asyncio.run(exchange(app, head, sending([content])))


def ask(app: App, path: str, body: object = None) -> Any:
    """Ask once for JSON."""
    status, _, content = call(app, path, body)
    assert status == 200, content
    return json.loads(content)


def images(count: int = 3) -> list[Any]:
    """Images of 8x8 at the model's levels."""
    levels = np.random.default_rng(5).integers(0, 17, (count, 8, 8))
    found: list[Any] = (levels / 16).tolist()
    return found
