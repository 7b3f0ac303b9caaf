"""Docker for tests: a daemon, a small Python image, and the trainer's image.

    docker          a Docker whose daemon the test's own commands use too (DOCKER_HOST is set)
    noop_image      id of a Debian with Python 3.11 and nothing of ours, run as user 10001
    trainer_image   the image of the pipeline's steps, built from the checkout
    server_image    the image of the model server, built from the checkout

A module that uses them says ``pytestmark = DOCKER``: one worker takes all such tests. The daemon is
the one that answers, or one of our own, started for all workers of all sessions on this machine
and ended by the last. Its images stay in a cache (``$XDG_CACHE_HOME/trefoil-tests``), so that only
a first run makes the base and fetches packages. Build with ``build_options``: the network is that
of the machine, since a daemon of our own has no other, and steps are run without any.
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
from typing import NamedTuple, NoReturn

import pytest

from infra.images import Built, catalogue
from infra.images.build import Options, build, knows_mounts

DOCKER = [pytest.mark.xdist_group("docker"), pytest.mark.timeout(1800)]
"""Marks of a test that needs Docker. Its first run ever makes a base and fetches packages."""
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "trefoil-tests")
_RUN = Path("/run", f"trefoil-tests-{hashlib.sha256(str(CACHE).encode()).hexdigest()[:8]}")
"""Socket and state of our own daemon; a socket's path must be short."""
_SUITE, _PACKAGES = "bookworm", "python3,python3-venv,ca-certificates"
_BASE = f"trefoil-tests:{_SUITE}-1"
_NOOP = f"FROM {_BASE}\nENV HOME=/tmp\nUSER 10001:10001\n"


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
        shut = ("--rm", "--network=none", "--read-only", "--cap-drop=ALL", "--tmpfs=/tmp")
        return self("run", *shut, *flags, image, *command)


@pytest.fixture(scope="session")
def docker_daemon() -> Iterator[Docker]:
    """The daemon; see ``docker``, which a test wants."""
    if shutil.which("docker") is None:
        _skip("docker is not installed")
    found = Docker(os.environ.get("DOCKER_HOST", ""))
    if _answers(found):
        yield found
        return
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        _skip("no Docker daemon answers, and only root with dockerd installed can start one")
    with _own_daemon() as own:
        yield own


@pytest.fixture
def docker(docker_daemon: Docker, monkeypatch: pytest.MonkeyPatch) -> Docker:
    """A Docker whose daemon the test's own commands use too."""
    monkeypatch.setenv("DOCKER_HOST", docker_daemon.host)
    return docker_daemon


@pytest.fixture(scope="session")
def base_image(docker_daemon: Docker) -> str:
    """Name of a Debian with Python 3.11, what python:3.11-slim is where a registry is in reach."""
    with _locked(CACHE / "base.lock"):
        if docker_daemon.attempt("image", "inspect", _BASE).returncode:
            _import_base(docker_daemon, CACHE / f"{_SUITE}-1.tar")
    return _BASE


@pytest.fixture(scope="session")
def noop_image(docker_daemon: Docker, base_image: str) -> str:
    """Id of the base image, run as a user without a name."""
    return docker_daemon("build", "--quiet", "-", given=_NOOP.replace(_BASE, base_image))


@pytest.fixture(scope="session")
def build_options(base_image: str) -> Options:
    """How images are built here."""
    ca = os.environ.get("SSL_CERT_FILE")
    return Options(base_image, ca=Path(ca) if ca else None, docker=("--network=host",))


@pytest.fixture(scope="session")
def trainer_image(docker_daemon: Docker, build_options: Options) -> Built:
    """The image of the pipeline's steps, built from the checkout."""
    return _built(docker_daemon, "trefoil-trainer", build_options)


@pytest.fixture(scope="session")
def server_image(docker_daemon: Docker, build_options: Options) -> Built:
    """The image of the model server, built from the checkout."""
    return _built(docker_daemon, "trefoil-server", build_options)


def _built(daemon: Docker, name: str, options: Options) -> Built:
    """Build an image; what has not changed comes from the daemon's own cache."""
    lines: list[str] = []
    with _locked(CACHE / "build.lock"), pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", daemon.host)
        patch.setenv("PATH", _path())
        return build(catalogue.IMAGES[name], options, lines.append)


def _path() -> str:
    """PATH, beginning with a docker that is BuildKit where there is one: it keeps downloads."""
    path = os.environ["PATH"]
    for folder in path.split(os.pathsep):
        if Path(folder, "docker").exists():
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("PATH", folder)
                if knows_mounts():
                    return f"{folder}{os.pathsep}{path}"
    return path


def _skip(reason: str) -> NoReturn:
    """Skip, or fail where everything that tests need is said to be installed."""
    if "PYTEST_FORBID_SKIPS" in os.environ:
        pytest.fail(f"skips are forbidden here: {reason}")
    pytest.skip(reason)


def _answers(daemon: Docker) -> bool:
    return daemon.attempt("version", "--format", "{{.Server.Version}}").returncode == 0


@contextlib.contextmanager
def _locked(file: Path, how: int = fcntl.LOCK_EX) -> Iterator[None]:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as lock:
        fcntl.flock(lock, how)
        yield


@contextlib.contextmanager
def _own_daemon() -> Iterator[Docker]:
    """A daemon of our own. Who uses it holds a shared lock; who gets the lock alone ends it."""
    daemon = Docker(f"unix://{_RUN}/docker.sock")
    _RUN.mkdir(parents=True, exist_ok=True)
    with (_RUN / "users.lock").open("w") as users:
        with _locked(_RUN / "start.lock"):
            if not _answers(daemon):
                _start(daemon)
            fcntl.flock(users, fcntl.LOCK_SH)
        yield daemon
        with _locked(_RUN / "start.lock"), contextlib.suppress(BlockingIOError):
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _stop()


def _start(daemon: Docker) -> None:
    """Start dockerd, with images of earlier sessions but without a network of its own."""
    _clean()
    data, log = CACHE / "docker", _RUN / "dockerd.log"
    data.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as out:
        subprocess.run(  # in a session of its own, so that it outlives this worker
            [
                "setsid", "--fork", "dockerd", f"--data-root={data}", f"--exec-root={_RUN}/exec",
                f"--pidfile={_RUN}/pid", f"--host={daemon.host}", "--bridge=none",
                "--iptables=false",
            ],
            stdout=out, stderr=out, check=True,
        )  # fmt: skip
    until = time.monotonic() + 60
    while not _answers(daemon):
        if time.monotonic() > until:
            said = log.read_text(errors="replace").splitlines()
            _skip(f"dockerd does not start: {said[-1] if said else 'it says nothing'}")
        time.sleep(0.1)
    daemon("system", "prune", "--force", "--filter", "until=336h")  # what two weeks left behind


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


def _import_base(daemon: Docker, tar: Path) -> None:
    """Make the base image from Debian's packages, or pull Python's where that cannot be done."""
    if not tar.exists() and (os.geteuid() != 0 or shutil.which("debootstrap") is None):
        pulled = daemon.attempt("pull", catalogue.BASE)
        if pulled.returncode:
            _skip("a base image needs root with debootstrap installed, or a registry in reach")
        daemon("tag", catalogue.BASE, _BASE)
        return
    if not tar.exists():
        _debootstrap(tar)
    daemon("import", "--change", 'CMD ["python3"]', str(tar), _BASE)


def _debootstrap(tar: Path) -> None:
    """Install a minimal Debian with Python in a folder, and pack it."""
    root = tar.with_suffix("")
    shutil.rmtree(root, ignore_errors=True)
    made = subprocess.run(
        ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", _SUITE, str(root)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if made.returncode:
        _skip(f"debootstrap cannot install Debian: {made.stdout.strip().splitlines()[-1]}")
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
