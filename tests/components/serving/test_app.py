"""The application: its states, its queue, and what it says when it fails."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path

import pytest

from components.serving import app as app_module
from components.serving.app import App
from components.serving.operations import Array, Model
from tests.components.serving.asking import (  # noqa: F401  fixtures work by being here
    Answer,
    call,
    exchange,
    made_app,
    made_directory,
    scope,
    sending,
)


def test_while_it_loads_it_lives_but_is_not_ready(directory: Path) -> None:
    """A platform that is told ready too early sends requests that fail."""
    app = App("1")
    assert call(app, "/live")[0] == 200
    for path in ("/ping", "/ready", "/v2/health/ready", "/health"):
        assert call(app, path)[0] == 503
    status, headers, body = call(app, "/sample", {})
    assert (status, headers["retry-after"]) == (503, "1")
    assert "still loading" in body.decode()
    model = Model(directory)
    app.ready(model, model.warm_up())
    assert call(app, "/ping")[0] == 200
    app.draining = True
    assert call(app, "/ping")[0] == 200  # another server may have taken the socket over
    app.leaving = True
    assert call(app, "/ping")[0] == 503
    assert call(app, "/live")[0] == 200
    status, headers, _ = call(app, "/sample", {})
    assert (status, headers["connection"]) == (200, "close")
    app.close()


def test_too_many_long_requests_are_told_to_come_again(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A queue without an end is memory without an end."""
    monkeypatch.setattr(app_module, "MAX_WAITING", 0)
    assert call(app, "/sample", {"n": 1})[0] == 200
    status, headers, body = call(app, "/sample", {"n": 1000})
    assert (status, headers["retry-after"]) == (503, "1")
    assert "wait already" in body.decode()


def test_a_long_sample_does_not_hold_up_a_ping(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """A platform takes a server that does not answer its ping for dead, and kills it."""
    pinged = threading.Event()
    assert app.model is not None
    real = app.model.sample

    def long(z: Array) -> Array:
        pinged.wait()
        return real(z)

    monkeypatch.setattr(app.model, "sample", long)

    async def both() -> tuple[Answer, Answer]:
        body = b'{"n": 1000}'
        sample = asyncio.create_task(exchange(app, scope("/sample", "POST"), sending([body])))
        ping = await exchange(app, scope("/ping", "GET"), sending([b""]))
        pinged.set()
        return ping, await sample

    ping, sample = asyncio.run(both())
    assert (ping[0], len(json.loads(sample[2])["images"])) == (200, 1000)


@pytest.mark.parametrize("n", [1, 1000])
def test_what_nobody_foresaw_is_answered_counted_and_logged(
    app: App, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], n: int
) -> None:
    """Else a client gets words that are no JSON, and the operator's error rate stays at nought."""

    def breaks(_z: Array) -> Array:
        raise RuntimeError("secret of the house")

    before = failures(app)
    monkeypatch.setattr(app.model, "sample", breaks)
    status, headers, body = call(app, "/sample", {"n": n})
    assert (status, headers["content-type"]) == (500, "application/json")
    assert json.loads(body) == {"error": "the server failed at this; its log says how"}
    assert failures(app) == before + 1
    log = capsys.readouterr().err
    assert "Traceback" in log
    assert "secret of the house" in log
    monkeypatch.undo()
    assert call(app, "/sample", {"n": n})[0] == 200


def failures(app: App) -> float:
    """How many requests to /sample were counted with status 500."""
    lines = call(app, "/metrics")[2].decode().splitlines()
    found = [line for line in lines if 'route="/sample",status="500"' in line]
    return float(found[0].split()[-1]) if found else 0
