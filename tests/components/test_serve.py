"""The server as a process: how it starts, how it ends."""

from __future__ import annotations

import concurrent.futures
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from components import serve
from tests.components.serving.asking import (  # noqa: F401  fixtures work by being here
    made_directory,
)
from tests.served import ROOT, server, until, wait_ready, write_model
from training.errors import InputError


def test_platforms_speak_by_their_environment() -> None:
    """One image starts rightly in each of them."""
    plain = serve.parse([], {})
    assert (plain.host, plain.port, str(plain.model)) == ("127.0.0.1", 8080, "/opt/ml/model")
    assert serve.parse(["serve"], {}).host == "0.0.0.0"  # noqa: S104
    vertex = serve.parse(
        ["--model", "m"],
        {"AIP_HTTP_PORT": "9000", "AIP_HEALTH_ROUTE": "/h", "AIP_PREDICT_ROUTE": "/p"},
    )
    assert (vertex.host, vertex.port) == ("0.0.0.0", 9000)  # noqa: S104
    assert (vertex.health_route, vertex.predict_route) == ("/h", "/p")
    with pytest.raises(InputError, match="slash"):
        serve.parse([], {"AIP_PREDICT_ROUTE": "predict"})
    with pytest.raises(InputError, match="--port"):
        serve.parse([], {"AIP_HTTP_PORT": "web"})


def run_serve(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "components.serve", *arguments],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip


def test_a_broken_model_ends_the_server_with_2(tmp_path: Path) -> None:
    """A platform must not restart what can never start."""
    ended = run_serve("--model", str(tmp_path), "--port", "0")
    assert ended.returncode == 2
    last = ended.stderr.splitlines()[-1]
    assert last == f"error: {tmp_path} is no model to serve: it has no serving.json"
    assert "Traceback" not in ended.stderr


def test_a_port_in_use_ends_the_server_with_2(directory: Path) -> None:
    """The commonest mistake of all has its own sentence."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run_serve("--model", str(directory), "--port", str(port))
    assert ended.returncode == 2
    assert f"port {port} of 127.0.0.1 cannot be had" in ended.stderr
    assert "--port" in ended.stderr


def in_flight(url: str, count: int) -> bool:
    """Whether so many requests are being answered besides the one that asks."""
    return f"trefoil_in_flight {count + 1}.0" in httpx.get(f"{url}/metrics").text


def refuses(url: str) -> bool:
    """Whether nobody listens any more."""
    try:
        httpx.get(f"{url}/live")
    except httpx.ConnectError:
        return True
    return False


def test_a_server_speaks_http_and_counts(directory: Path) -> None:
    """Other tests go around the socket; an operator sees only what is counted."""
    with server("--model", directory) as (process, url), httpx.Client(base_url=url) as client:
        wait_ready(url)
        assert client.get("/").json()["name"] == "tiny"
        assert len(client.post("/sample", json={"n": 3}).json()["images"]) == 3
        assert client.post("/score", json={"images": [1]}).status_code == 400
        assert client.get("/nowhere").status_code == 404
        text = client.get("/metrics").text
        assert 'trefoil_requests_total{route="/sample",status="200"} 1.0' in text
        assert 'trefoil_requests_total{route="/score",status="400"} 1.0' in text
        assert 'trefoil_requests_total{route="other",status="404"} 1.0' in text
        assert 'trefoil_request_seconds_count{route="/score"} 1.0' in text
        assert 'trefoil_model_info{name="tiny",version="1"} 1.0' in text
        assert "trefoil_in_flight 1.0" in text
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0
        assert process.stderr is not None
        assert process.stderr.read() == "serving tiny version 1\n"  # no access log


def test_sigterm_lets_a_request_finish(tmp_path: Path) -> None:
    """A new version, or a node taken away, must not cost an answer."""
    folder = write_model(tmp_path / "m", shape=(64, 64))
    with server("--model", folder) as (process, url):
        wait_ready(url)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            asking = pool.submit(httpx.post, f"{url}/sample", json={"n": 1024}, timeout=None)
            until(lambda: in_flight(url, 1) or asking.done())
            process.send_signal(signal.SIGTERM)
            until(lambda: refuses(url))
            answer = asking.result()
        assert process.wait() == 0
        assert len(answer.json()["images"]) == 1024
        assert answer.headers["connection"] == "close"


def test_a_request_that_never_ends_does_not_hold_the_server(directory: Path) -> None:
    """Else one bad client decides when a node can be taken away."""
    with server("--model", directory, "--drain", "3") as (process, url):
        wait_ready(url)
        address = httpx.URL(url)
        with socket.create_connection((address.host, address.port or 0)) as slow:
            slow.sendall(b"POST /sample HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
            until(lambda: in_flight(url, 1))
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGTERM)  # asked twice is asked once
            assert process.wait() == 0


def test_a_kept_connection_is_answered_once_more_while_draining(directory: Path) -> None:
    """A client cannot know that its connection is about to end: its next request must count."""
    with (
        server("--model", directory) as (process, url),
        httpx.Client(base_url=url) as client,
    ):
        wait_ready(url)
        assert "connection" not in client.get("/ping").headers
        process.send_signal(signal.SIGTERM)
        until(lambda: refuses(url))
        answer = client.post("/sample", json={"n": 1})
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")
        assert process.wait() == 0
