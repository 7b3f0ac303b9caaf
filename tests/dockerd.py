"""A Docker daemon for tests and benchmarks: the one that answers, or one of our own.

Our own has no network but the machine's (``--network=host`` or none), and keeps its images in a
cache (``$XDG_CACHE_HOME/trefoil-tests``). All workers of all sessions share it: who uses it holds a
shared lock, and who comes to hold that lock alone ends it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from infra.images import catalogue

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "trefoil-tests")
_RUN = Path("/run", f"trefoil-tests-{hashlib.sha256(str(CACHE).encode()).hexdigest()[:8]}")
"""Socket and state; a socket's path must be short."""
_OLD, _ROOM = "48h", 20e9
"""Images are made anew every other day, and at each start where the disk has less than this."""
_SUITE, _PACKAGES = "bookworm", "python3,python3-venv,ca-certificates"
_BASE = f"trefoil-tests:{_SUITE}-1"


class Unavailable(Exception):
    """Why there is no Docker here, in one line."""


class Docker(NamedTuple):
    """A daemon, and the commands to ask it."""

    host: str

    def __call__(self, *arguments: str, given: str = "") -> str:
        """What a docker command prints. Raises AssertionError where it fails."""
        done = self.attempt(*arguments, given=given)
        assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr}"
        return done.stdout.strip()

    def attempt(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """A docker command, however it ends."""
        environment = {**os.environ, "DOCKER_HOST": self.host}
        return subprocess.run(
            ["docker", *arguments],
            input=given, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def run(self, image: str, *command: str, flags: tuple[str, ...] = ()) -> str:
        """What a command prints in a container that reaches nothing and can change nothing."""
        return self("run", "--rm", *SHUT, *flags, image, *command)

    def answers(self) -> bool:
        """Whether there is a daemon."""
        return self.attempt("version", "--format", "{{.Server.Version}}").returncode == 0


SHUT = ("--network=none", "--read-only", "--cap-drop=ALL", "--tmpfs=/tmp")
"""Flags of a container that reaches nothing and can change nothing but /tmp."""


@contextlib.contextmanager
def daemon() -> Iterator[Docker]:
    """A daemon that answers. Raises Unavailable."""
    if shutil.which("docker") is None:
        raise Unavailable("docker is not installed")
    found = Docker(os.environ.get("DOCKER_HOST", ""))
    if found.answers():
        yield found
        return
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        raise Unavailable("no Docker daemon answers, and to start one takes root and dockerd")
    with _own() as own:
        yield own


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Alone among all workers; ``name`` is what is locked."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def base(docker: Docker) -> str:
    """Name of an image like python:3.11-slim, made of Debian's packages. Raises Unavailable."""
    with locked("base"):
        if docker.attempt("image", "inspect", _BASE).returncode:
            _make_base(docker)
    return _BASE


@contextlib.contextmanager
def _own() -> Iterator[Docker]:
    docker = Docker(f"unix://{_RUN}/docker.sock")
    _RUN.mkdir(parents=True, exist_ok=True)
    with (_RUN / "users.lock").open("w") as users:
        try:
            with locked("daemon"):
                fcntl.flock(users, fcntl.LOCK_SH)
                if not docker.answers():
                    _start(docker)
            yield docker
        finally:
            with locked("daemon"), contextlib.suppress(BlockingIOError):
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _stop()


def _start(docker: Docker) -> None:
    _clean()
    data, log = CACHE / "docker", _RUN / "dockerd.log"
    data.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as out:
        subprocess.run(  # in a session of its own, so that it outlives this worker
            [
                "setsid", "--fork", "dockerd", f"--data-root={data}", f"--exec-root={_RUN}/exec",
                f"--pidfile={_RUN}/pid", f"--host={docker.host}", "--bridge=none",
                "--iptables=false",
            ],
            stdout=out, stderr=out, check=True,
        )  # fmt: skip
    until = time.monotonic() + 60
    while not docker.answers():
        if time.monotonic() > until:
            said = log.read_text(errors="replace").splitlines()
            raise Unavailable(f"dockerd does not start: {said[-1] if said else 'it says nothing'}")
        time.sleep(0.1)
    plenty = shutil.disk_usage(data).free > _ROOM
    docker(
        "system", "prune", "--all", "--force", *(["--filter", f"until={_OLD}"] if plenty else [])
    )


def _stop() -> None:
    """End our daemon and leave nothing mounted; its pid file goes when it has ended."""
    pid = _RUN / "pid"
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        os.kill(int(pid.read_text()), signal.SIGTERM)
        until = time.monotonic() + 60
        while pid.exists() and time.monotonic() < until:
            time.sleep(0.05)
    _clean()


def _clean() -> None:
    mounts = Path("/proc/mounts").read_text().splitlines()
    for place in sorted((line.split()[1] for line in mounts), reverse=True):
        if place.startswith(f"{_RUN}/exec/"):
            subprocess.run(["umount", place], check=False, capture_output=True)
    shutil.rmtree(_RUN / "exec", ignore_errors=True)


def _make_base(docker: Docker) -> None:
    """From Debian's packages, or Python's own image where that cannot be done."""
    tar = CACHE / f"{_SUITE}-1.tar"
    if not tar.exists() and (os.geteuid() != 0 or shutil.which("debootstrap") is None):
        if docker.attempt("pull", catalogue.BASE).returncode:
            raise Unavailable("a base image takes root and debootstrap, or a registry in reach")
        docker("tag", catalogue.BASE, _BASE)
        return
    if not tar.exists():
        _debootstrap(tar)
    docker("import", "--change", 'CMD ["python3"]', str(tar), _BASE)


def _debootstrap(tar: Path) -> None:
    """Install a minimal Debian with Python in a folder, and pack it."""
    root = tar.with_suffix("")
    shutil.rmtree(root, ignore_errors=True)
    made = subprocess.run(
        ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", _SUITE, str(root)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if made.returncode:
        said = made.stdout.strip().splitlines()
        raise Unavailable(f"debootstrap cannot install Debian: {said[-1] if said else ''}")
    (root / "usr/bin/python").symlink_to("python3")
    partial = tar.with_suffix(".partial")
    waste = ("./var/cache/apt", "./var/lib/apt/lists", "./usr/share/doc", "./dev")
    subprocess.run(
        ["tar", "--numeric-owner", *(f"--exclude={each}/*" for each in waste), "-C", str(root),
         "-cf", str(partial), "."],
        check=True,
    )  # fmt: skip
    partial.replace(tar)
    shutil.rmtree(root)
