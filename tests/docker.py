"""Docker for tests: a daemon, a small Python image, and our own images.

    docker          a Docker whose daemon the test's own commands use too (DOCKER_HOST is set)
    noop_image      id of a Debian with Python 3.11 and nothing of ours, run as user 10001
    trainer_image   the image of the pipeline's steps, built from the checkout
    server_image    the image of the model server, built from the checkout
    build_options   how these two were built, for a test that builds one itself

A module that uses them says ``pytestmark = DOCKER``: one worker takes all such tests. What has been
built before comes from the daemon's cache (see tests.dockerd), so that only a first run makes the
base and fetches packages. A runner finds an image of ours once it is noted in the workspace:
``record.remember(workspace, trainer_image)``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from infra.images import Built, catalogue
from infra.images.build import Options, build, knows_mounts
from tests import dockerd
from tests.dockerd import Docker

__all__ = ["DOCKER", "Docker", "with_buildkit"]

DOCKER = [pytest.mark.xdist_group("docker"), pytest.mark.timeout(1800)]
"""Marks of a test that needs Docker. The first one ever waits for a base and for packages."""


@pytest.fixture(scope="session")
def docker_daemon() -> Iterator[Docker]:
    """The daemon; see ``docker``, which a test wants."""
    try:
        with dockerd.daemon() as found:
            yield found
    except dockerd.Unavailable as reason:
        _skip(str(reason))


@pytest.fixture
def docker(docker_daemon: Docker, monkeypatch: pytest.MonkeyPatch) -> Docker:
    """A Docker whose daemon the test's own commands use too."""
    monkeypatch.setenv("DOCKER_HOST", docker_daemon.host)
    return docker_daemon


@pytest.fixture(scope="session")
def base_image(docker_daemon: Docker) -> str:
    """Name of a Debian with Python 3.11, what python:3.11-slim is where a registry is in reach."""
    try:
        return dockerd.base(docker_daemon)
    except dockerd.Unavailable as reason:
        _skip(str(reason))


@pytest.fixture(scope="session")
def noop_image(docker_daemon: Docker, base_image: str) -> str:
    """Id of the base image, run as a user without a name."""
    text = f"FROM {base_image}\nENV HOME=/tmp\nUSER 10001:10001\n"
    return docker_daemon("build", "--quiet", "-", given=text)


@pytest.fixture(scope="session")
def build_options(base_image: str) -> Options:
    """How images are built here: with the machine's network, and the CA that it trusts."""
    return options(base_image)


@pytest.fixture(scope="session")
def trainer_image(docker_daemon: Docker, build_options: Options) -> Built:
    """The image of the pipeline's steps, built from the checkout."""
    return built(docker_daemon, "trefoil-trainer", build_options)


@pytest.fixture(scope="session")
def server_image(docker_daemon: Docker, build_options: Options) -> Built:
    """The image of the model server, built from the checkout."""
    return built(docker_daemon, "trefoil-server", build_options)


def with_buildkit(host: str) -> str | None:
    """PATH, beginning with a docker that is BuildKit; None where there is none."""
    path = os.environ["PATH"]
    for folder in path.split(os.pathsep):
        if Path(folder, "docker").exists():
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("DOCKER_HOST", host)
                patch.setenv("PATH", folder)
                if knows_mounts():
                    return f"{folder}{os.pathsep}{path}"
    return None


def options(base: str) -> Options:
    """With the machine's network, and the CA that it trusts."""
    ca = os.environ.get("SSL_CERT_FILE")
    return Options(base, ca=Path(ca) if ca else None, flags=("--network=host",))


def built(docker: Docker, name: str, options: Options) -> Built:
    """Build an image, by BuildKit where it can be had: it keeps what it fetched."""
    with dockerd.locked("build"), pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", docker.host)
        patch.setenv("PATH", with_buildkit(docker.host) or os.environ["PATH"])
        return build(catalogue.IMAGES[name], options, lambda _: None)


def _skip(reason: str) -> NoReturn:
    """Skip, or fail where everything that tests need is said to be installed."""
    if "PYTEST_FORBID_SKIPS" in os.environ:
        pytest.fail(f"skips are forbidden here: {reason}")
    pytest.skip(reason)
