"""A rehearsed container: what it is told, sees, and ends with."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from infra import docker
from infra.errors import InputError
from infra.group import MARK
from infra.rehearsal import machine
from infra.rehearsal.machine import Container, contained, hosts, name_of, process
from infra.rehearsal.served import Server, free_port

SERVES = """
import http.server, sys
class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/well" else 404)
        self.end_headers()
    def log_message(self, *_): pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Answers).serve_forever()
"""


def made(folder: Path, *words: str, **more: object) -> Container:
    folder.mkdir(parents=True, exist_ok=True)
    found = Container("registry/some/image:1", words, {}, folder, folder / "log")
    return found._replace(**more)  # type: ignore[arg-type]


def test_a_process_is_told_its_own_words_and_its_code_is_dockers(tmp_path: Path) -> None:
    """127 + a signal, as Docker tells it: what a cloud would tell is read from that."""
    code = "import os, signal; print(os.environ['X'], flush=True); os.kill(os.getpid(), 9)"
    ended = process([sys.executable, "-c", code], {"X": "told"}, made(tmp_path / "one"))
    assert ended.wait() == 137
    assert (tmp_path / "one" / "log").read_text() == "told\n"


def test_an_images_own_command_is_dockers_to_know(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"registry/some/image:1.*--runner docker"):
        process((), {}, made(tmp_path))


def test_what_docker_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is not mounted, or a port that all the network reaches, shows only here."""
    echo = tmp_path / "docker"
    echo.write_text('#!/bin/sh\n[ "$1" = run ] && printf "%s\\n" "$@"\nexit 0\n')
    echo.chmod(0o755)
    monkeypatch.setattr(docker, "program", lambda: str(echo))
    monkeypatch.setattr(machine, "image_here", lambda _uri, _places: "sha256:abc")
    monkeypatch.setenv("AZURE_TENANT_ID", "made-up")
    monkeypatch.setenv(MARK, "a1b2")
    monkeypatch.setenv("HOME_OF_SOMEBODY", "secret")
    job = made(tmp_path / "job", "python", "-m", "x", mounts={"/data": tmp_path}, workdir="/wd")
    assert contained(job, ()).wait() == 0
    told = (tmp_path / "job" / "log").read_text().split("\n")
    assert f"{tmp_path.resolve()}:/data" in told
    assert f"{MARK}=a1b2" in told, "by which it is removed where the rehearsal is killed"
    assert told[told.index("--entrypoint") + 1] == "python"
    assert told[told.index("--workdir") + 1] == "/wd"
    assert told[-4:-1] == ["sha256:abc", "-m", "x"]
    assert ("AZURE_TENANT_ID" in told, "HOME_OF_SOMEBODY" in told) == (True, False)
    server = made(tmp_path / "server", arguments=["serve"], port=4711, listens=8501)
    assert contained(server, ()).wait() == 0
    told = (tmp_path / "server" / "log").read_text().split("\n")
    assert told[told.index("--publish") + 1] == "127.0.0.1:4711:8501"
    assert told[-3:-1] == ["sha256:abc", "serve"]
    assert ("AZURE_TENANT_ID" in told, "--network" in told) == (False, False)


def test_several_hosts_reach_each_other_here() -> None:
    assert hosts(1, alone="algo-1") == ["algo-1"]
    assert hosts(2, alone="algo-1") == ["127.0.0.1", "127.0.0.2"]
    assert name_of("1234.dkr.ecr.eu.amazonaws.com:443/a/trainer@sha256:ab") == "trainer"


def test_a_server_is_healthy_once_it_answers_and_gone_once_it_is_stopped(tmp_path: Path) -> None:
    """A stand-in that called a dead server healthy would prove nothing of a deployment."""
    port = free_port()
    running = process([sys.executable, "-c", SERVES, str(port)], {}, made(tmp_path / "up"))
    server = Server(running, port, tmp_path / "up", "/well")
    until = time.monotonic() + 60
    while not server.healthy():
        assert time.monotonic() < until
        time.sleep(0.05)
    assert server.ask("GET", "/other", b"", {}, 5.0).status == 404
    assert not server.gone()
    server.stop()
    assert (server.gone(), server.healthy()) == (True, False)
    assert (tmp_path / "up" / "ended").exists()
