"""A rehearsal that is killed leaves nothing running, whatever its steps and servers have started.

A server that is left holds its port and its model, and nobody knows of it: the next rehearsal has
another one.
"""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from infra import docker
from infra import provider as providers
from infra.group import MARK
from infra.rehearsal import sweep
from infra.rehearsal.guard import guarded
from tests.pipelines.one_step import ROOT, one_step

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="marks are found in /proc"),
    pytest.mark.timeout(180),
]
PLACES = [name for name in providers.names() if "rehearsal" not in providers.get(name).missing]
PATIENCE = 120.0
SLEEPS = "import time; time.sleep(600)"
STEP = f"""
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", {SLEEPS!r}], start_new_session=True)
time.sleep(600)
"""
CLIENT = """
import sys, threading, time
from pathlib import Path
from infra.rehearsal.guard import guarded
from infra.rehearsal.machine import Container, process
from infra.rehearsal.served import Server
folder = Path(sys.argv[1])
with guarded():
    one = Container("image", (sys.executable, "-c", sys.argv[2]), {}, folder, folder / "log")
    start = lambda: Server(process(one.words, {}, one), 1, folder, "/")
    starting = threading.Thread(target=start)  # one that ends must not take the server with it
    starting.start()
    starting.join()
    time.sleep(float(sys.argv[3]))
"""
OUTER = """
import subprocess, sys, time
from infra.rehearsal.guard import guarded
with guarded():
    subprocess.Popen([sys.executable, "-c", *sys.argv[1:]], start_new_session=True)
    time.sleep(600)
"""


def left(workspace: Path) -> list[int]:
    """The processes that were started for a workspace, found by that and not by the mark."""
    wanted, found = f"TREFOIL_WORKSPACE={workspace}".encode(), []
    for each in Path("/proc").iterdir():
        with suppress(OSError):
            if each.name.isdigit() and wanted in (each / "environ").read_bytes().split(b"\0"):
                found.append(int(each.name))
    return found


def until(count: int, workspace: Path) -> list[int]:
    """Those, once there are so many at least, or none where ``count`` is 0."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = left(workspace)
        if len(found) >= count and (count or not found):
            return found
        time.sleep(0.05)
    return left(workspace)


@contextmanager
def started(workspace: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, "TREFOIL_WORKSPACE": str(workspace), "PYTHONPATH": str(ROOT)}
    environment.pop(MARK, None)
    client = subprocess.Popen(
        [sys.executable, *words], cwd=workspace.parent, env=environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield client
    finally:
        client.kill()
        client.wait()
        for pid in left(workspace):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def test_a_server_and_what_it_has_started_end_with_a_client_that_is_killed(tmp_path: Path) -> None:
    """Whatever session they are in; a thread that started one and has ended is no reason."""
    folder = tmp_path / "server"
    folder.mkdir()
    with started(tmp_path / "w", "-c", CLIENT, str(folder), STEP, "600") as client:
        # the client and its guard, the server, and what that has put into a session of its own
        assert len(until(4, tmp_path / "w")) == 4
        client.kill()
        assert until(0, tmp_path / "w") == []


def test_a_rehearsal_within_one_that_is_killed_leaves_nothing_either(tmp_path: Path) -> None:
    """Its processes have its own mark alone: its guard must not end before it has found them."""
    folder = tmp_path / "server"
    folder.mkdir()
    with started(tmp_path / "w", "-c", OUTER, CLIENT, str(folder), STEP, "600") as client:
        assert len(until(6, tmp_path / "w")) == 6, "two clients with a guard each, and as above"
        client.kill()
        assert until(0, tmp_path / "w") == []


def test_what_a_rehearsal_leaves_that_ends_well_is_not_killed(tmp_path: Path) -> None:
    """As what still sends its tracking: the guard is for kills alone, and ends, too."""
    folder = tmp_path / "server"
    folder.mkdir()
    with started(tmp_path / "w", "-c", CLIENT, str(folder), SLEEPS, "0") as client:
        assert client.wait() == 0
        assert len(left(tmp_path / "w")) == 1


@pytest.mark.parametrize("place", PLACES)
def test_no_process_of_a_rehearsed_run_survives_a_kill(tmp_path: Path, place: str) -> None:
    """The stand-in, the launcher, the step, and what the step has put into another session."""
    workspace, running = tmp_path / "w", tmp_path / "running"
    script = f"open({str(running)!r}, 'w').close()\n{STEP}"
    pipeline = one_step(tmp_path / "pipeline.yaml", script)
    words = ["-m", "pipelines.run", "--pipeline", pipeline, "--provider", place, "--rehearse"]
    with started(workspace, *words) as client:
        deadline = time.monotonic() + PATIENCE
        while not running.exists() and client.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert running.exists(), "the step has begun"
        assert len(until(4, workspace)) >= 4
        client.kill()
        assert until(0, workspace) == []


def test_the_containers_of_a_killed_rehearsal_are_removed(tmp_path: Path) -> None:
    """Docker's client dies with the rehearsal, and the container does not: it has to be asked."""
    told = tmp_path / "told"
    program = tmp_path / "docker"
    program.write_text(
        f'#!/bin/sh\necho "$@" >>{told}\n[ "$1" = ps ] && [ ! -e {tmp_path}/gone ] && echo c1 c2\n'
        f'[ "$1" = rm ] && touch {tmp_path}/gone\nexit 0\n'
    )
    program.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-I", "-S", sweep.__file__, f"{MARK}=a1b2", str(program)],
        input=b"", check=True,
    )  # fmt: skip
    assert done.returncode == 0
    lines = told.read_text().splitlines()
    assert lines[:2] == [f"ps --all --quiet --filter label={MARK}=a1b2", "rm --force c1 c2"]
    assert len(lines) > 3, "it looks again: one may still be on its way"


def test_what_cannot_be_ended_keeps_nothing_else_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that may not be killed, or a daemon that hangs, would save the rest, too."""
    killed: list[int] = []
    really = os.kill

    def kill(pid: int, sent: int) -> None:
        if pid == 1:
            raise PermissionError
        if pid > 3:  # the program that hangs
            return really(pid, sent)
        killed.append(pid)
        return None

    hangs = tmp_path / "docker"
    hangs.write_text("#!/bin/sh\nexec sleep 600\n")
    hangs.chmod(0o755)
    looks = iter([[1, 2], [3]])
    monkeypatch.setattr(sweep, "_ANSWER", 0.05)
    monkeypatch.setattr(sweep, "marked", lambda _: next(looks, []))
    monkeypatch.setattr(os, "kill", kill)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    sweep.main("A=b", str(hangs))
    sweep.main("A=b", str(tmp_path / "gone"))
    assert killed == [2, 3]


def test_a_container_has_the_label_that_it_is_removed_by(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(MARK, raising=False)
    assert docker.labels() == []
    with guarded() as mark:
        assert docker.labels() == ["--label", f"{MARK}={mark}"]
    assert docker.labels() == []
