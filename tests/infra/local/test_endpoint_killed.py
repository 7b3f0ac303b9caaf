"""A deployer that is killed, hangs or fails: the version that endpoint.json names serves, alone.

Nobody comes by to tidy up: the servers themselves must see to it.
"""

from __future__ import annotations

import contextlib
import errno
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from infra.local import endpoint, endpointdir
from infra.local.server import Server
from tests.endpoints import (  # noqa: F401  fixtures work by being here
    MODEL,
    NAME,
    asked,
    deploy,
    look,
    made_models,
    made_workspace,
    served_version,
    servers,
)
from tests.served import ROOT, until

DEPLOY = f"""
endpoint.deploy(workspace=Path(sys.argv[1]), name="{NAME}", version="1", model=Path(sys.argv[2]),
                model_name="{MODEL}")
"""
HOOKED = """
import os, signal, sys
from pathlib import Path
from infra.local import candidate, endpoint, endpointdir, server
real = {owner}.{name}
def hooked(*given, **named):
    {first}
    {then}
{owner}.{name} = hooked
"""
CALL = "result = real(*given, **named)"
KILL = "os.kill(os.getpid(), signal.SIGKILL)"
HANG = "print('there', flush=True); signal.pause()"

STEPS = {
    "tidied": "endpointdir.Place.tidy",
    "model copied": "endpointdir.Place.keep",
    "server started": "candidate.Candidate.__init__",
    "server tried out": "candidate.Candidate.try_out",
    "socket handed over": "candidate.Candidate.keep",
    "written down": "endpointdir.Place.write",
    "new server told": "candidate.Candidate.begin",
    "both servers told": "server.Link.read",
}
WRITTEN = ("written down", "new server told", "both servers told")


def hooked(step: str, first: str, then: str) -> str:
    owner, _, name = STEPS[step].rpartition(".")
    return HOOKED.format(owner=owner, name=name, first=first, then=then)


def run(code: str, workspace: Path, models: list[Path]) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", code, str(workspace), str(models[1])], cwd=ROOT, check=False
    )


@contextlib.contextmanager
def hanging(code: str, workspace: Path, models: list[Path]) -> Iterator[None]:
    """A deployer that stands still; killed at the end."""
    with subprocess.Popen(
        [sys.executable, "-c", code, str(workspace), str(models[1])],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        try:
            yield
        finally:
            process.kill()


def answering(url: str, count: int = 40) -> set[str]:
    """The versions that answer so many new connections."""
    return {served_version(url) for _ in range(count)}


@pytest.mark.parametrize("step", STEPS)
def test_killed_after_a_step_one_version_serves_and_no_request_is_lost(
    workspace: Path, models: list[Path], step: str
) -> None:
    """Else clients get answers of two models by turns until somebody happens to look."""
    url = deploy(workspace, models, 0).url
    with asked(url) as clients:
        clients.more()
        assert run(hooked(step, CALL, KILL) + DEPLOY, workspace, models).returncode == -9
        until(lambda: len(servers(workspace)) == 1)
        clients.more()
    wanted = "1" if step in WRITTEN else "0"
    assert answering(url) == {wanted}
    assert (look(workspace).state, look(workspace).version) == ("serving", wanted)
    done = deploy(workspace, models, 2)
    assert (done.state, done.url, answering(url, 5)) == ("serving", url, {"2"})
    until(lambda: len(servers(workspace)) == 1)
    assert len(list(workspace.glob("endpoints/vae/models/*"))) == 2


@pytest.mark.parametrize("step", [step for step in STEPS if step != "both servers told"])
def test_killed_at_the_first_deployment_all_or_nothing_is_there(
    workspace: Path, models: list[Path], step: str
) -> None:
    """A server that nobody knows of would hold its memory until the machine restarts."""
    assert run(hooked(step, CALL, KILL) + DEPLOY, workspace, models).returncode == -9
    written = step in WRITTEN
    until(lambda: len(servers(workspace)) == written)
    if written:
        assert answering(look(workspace).url) == {"1"}
    else:
        assert endpoint.endpoints(workspace=workspace) == []
    assert deploy(workspace, models, 2).state == "serving"


@pytest.mark.parametrize(("first", "then", "after"), [(HANG, "", "0"), (CALL, HANG, "1")])
def test_while_the_write_hangs_the_old_version_alone_answers(
    workspace: Path, models: list[Path], first: str, then: str, after: str
) -> None:
    """A disk can stand still for minutes, before it has written and after."""
    url = deploy(workspace, models, 0).url
    with asked(url) as clients:
        with hanging(hooked("written down", first, then) + DEPLOY, workspace, models):
            assert len(servers(workspace)) == 2
            assert answering(url) == {"0"}
        until(lambda: len(servers(workspace)) == 1)
        clients.more()
    assert answering(url) == {after}


@pytest.mark.parametrize("first_time", [False, True])
def test_a_failing_write_leaves_things_as_they_were(
    workspace: Path, models: list[Path], monkeypatch: pytest.MonkeyPatch, first_time: bool
) -> None:
    """A full disk is no reason to lose the version that serves."""
    first = None if first_time else deploy(workspace, models, 0)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(endpointdir, "write_whole", full)
        with asked(first.url) if first else contextlib.nullcontext():
            with pytest.raises(OSError, match="No space"):
                deploy(workspace, models, 1)
            assert [each.pid for each in servers(workspace)] == ([first.pid] if first else [])
    assert endpoint.endpoints(workspace=workspace) == ([first] if first else [])
    if first:
        assert answering(first.url) == {"0"}


def test_interrupted_just_after_the_write_the_new_version_serves(
    workspace: Path, models: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C has no better moment than a kill."""
    url = deploy(workspace, models, 0).url
    real = endpointdir.Place.write

    def interrupted(*given: object) -> None:
        real(*given)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(endpointdir.Place, "write", interrupted)
    with asked(url), pytest.raises(KeyboardInterrupt):
        deploy(workspace, models, 1)
    until(lambda: len(servers(workspace)) == 1)
    assert answering(url) == {"1"}


def test_killed_while_it_stops_an_endpoint_that_is_stopped(
    workspace: Path, models: list[Path]
) -> None:
    """What is told to be stopped must not go on answering."""
    url = deploy(workspace, models, 1).url
    stop = f'endpoint.stop(workspace=Path(sys.argv[1]), name="{NAME}")'
    assert run(hooked("written down", CALL, KILL) + stop, workspace, models).returncode == -9
    until(lambda: not servers(workspace))
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)
    assert look(workspace).state == "stopped"


def test_an_untried_server_does_not_outlive_its_deployer(
    workspace: Path, models: list[Path]
) -> None:
    """It has no traffic yet, and nobody left who could give it any."""
    code = """
import os, signal, sys
from pathlib import Path
from infra.local.candidate import Candidate
place = Path(sys.argv[1]) / "endpoints/vae"
Candidate(place / "servers/1", place / "endpoint.json", "vae", "1", Path(sys.argv[2]))
"""
    run(code + KILL, workspace, models)
    orphan = Server(workspace / "endpoints/vae/servers/1")
    until(lambda: not orphan.alive())


def test_a_record_that_cannot_be_read_stops_nobody_who_serves(
    workspace: Path, models: list[Path]
) -> None:
    """A full or unmounted disk must not take a good server down."""
    first = deploy(workspace, models, 0)
    record = workspace / "endpoints/vae/endpoint.json"
    kept = record.read_text()
    record.write_text("{")
    (server,) = servers(workspace)
    with contextlib.closing(server.link()) as link:
        link.read()
    assert answering(first.url) == {"0"}
    record.write_text(kept)
    assert look(workspace) == first
