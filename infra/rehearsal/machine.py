"""One container, as a process of this environment or in Docker; what it sees is the cloud's affair.

In Docker it is on the host's network, which leads to the proxy of the rehearsal and no further, and
sees the folders of the certificates and of MLflow's database where they lie.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from infra import docker, images
from infra.errors import InputError
from infra.local.process import Process, program
from infra.local.rundir import StepDirectory

_OURS = (
    "AWS_", "AZURE_", "GCE_", "GOOGLE_", "CLOUDSDK_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
    "REQUESTS_CA_BUNDLE", "SSL_CERT_",
)  # fmt: skip
"""How the variables begin by which a container reaches the rehearsal, and no cloud."""


class Container(NamedTuple):
    """What is to run. ``words`` are its whole command, empty where that is the image's own, which
    then gets the ``arguments``. ``folder`` is its own on this machine, where ``log`` is written.

    ``mounts`` are folders of this machine by where it sees them. A server has a ``port``: that of
    this machine by which its own port, ``listens``, is reached.
    """

    image: str
    words: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    log: Path
    mounts: Mapping[str, Path] = {}
    arguments: Sequence[str] = ()
    workdir: str = ""
    port: int = 0
    listens: int = 8080


class Machine(Protocol):
    """A host whose container runs."""

    def wait(self) -> int:
        """Wait for its end; the exit code, as Docker has it."""

    def terminate(self) -> None:
        """Send SIGTERM."""

    def kill(self) -> None:
        """End it at once."""


def hosts(count: int, alone: str) -> list[str]:
    """Names of hosts that lead to this machine, wherever there is more than one."""
    return [alone] if count == 1 else [f"127.0.0.{number}" for number in range(1, count + 1)]


def name_of(uri: str) -> str:
    """What an image is called in its registry."""
    return re.split(r"[:@]", uri.rpartition("/")[2])[0]


def process(words: Sequence[str], environment: Mapping[str, str], container: Container) -> Machine:
    """Run as a process group of this interpreter's environment, told other words and variables.

    Raises InputError where the image's own command would be needed.
    """
    if not words:
        raise InputError(
            f"only Docker knows the command of the image {container.image}; rehearse it with "
            "--runner docker"
        )
    argv = [program(words[0]), *words[1:]]
    return _Coded(Process(argv, environment, StepDirectory(container.folder), container.log))


def contained(container: Container, workspaces: Iterable[Path]) -> Machine:
    """Run in Docker; images of ours are those that were built in one of the workspaces.

    Raises InputError where the image is not here.
    """
    name = f"trefoil-{hashlib.sha256(str(container.folder.resolve()).encode()).hexdigest()[:16]}"
    docker.attempt("rm", "--force", name)  # of a rehearsal that was killed
    options = ["--name", name, *docker.labels(), "--pull", "never"]
    options += ["--user", f"{os.getuid()}:{os.getgid()}", "--env", "HOME=/tmp"]
    environment = dict(container.environment)
    if container.port:  # a server has a network of its own, and reaches nothing
        options += ["--publish", f"127.0.0.1:{container.port}:{container.listens}"]
    else:
        options += ["--network", "host"]
        environment = {**leading(), **environment}
    mounts = {place: folder.resolve() for place, folder in container.mounts.items()}
    for place, folder in {**seen(environment), **mounts}.items():
        options += ["--volume", f"{folder}:{place}"]
    for variable in environment:
        options += ["--env", variable]
    if container.workdir:
        options += ["--workdir", container.workdir]
    if container.words:
        options += ["--entrypoint", container.words[0]]
    rest = container.words[1:] if container.words else container.arguments
    argv = [docker.program(), "run", *options, image_here(container.image, workspaces), *rest]
    client = Process(argv, environment, StepDirectory(container.folder), container.log)
    return _Contained(client, name)


class _Coded:
    """A process whose exit code is told as Docker tells it."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def terminate(self) -> None:
        """See Machine."""
        self._process.terminate()

    def kill(self) -> None:
        """See Machine."""
        self._process.kill()

    def wait(self) -> int:
        """See Machine."""
        code = self._process.wait().code
        return 128 - code if code < 0 else code


class _Contained:
    """The docker client that is attached to a container."""

    def __init__(self, client: Process, name: str) -> None:
        self._client, self._name = client, name

    def terminate(self) -> None:
        """See Machine. The client hands it on."""
        self._client.terminate()

    def wait(self) -> int:
        """See Machine."""
        code = self._client.wait().code
        docker.attempt("rm", "--force", self._name)
        return 128 - code if code < 0 else code

    def kill(self) -> None:
        """See Machine."""
        for _ in range(50):
            if docker.attempt("kill", self._name).returncode == 0:
                return
            time.sleep(0.1)  # it has not begun yet, or is over already
        self._client.kill()


def image_here(uri: str, workspaces: Iterable[Path]) -> str:
    """The ID of what is here of an image; of ours, what was built last. Raises InputError."""
    name = name_of(uri)
    built = [each for place in workspaces if (each := images.find(place, name))]
    found = docker.identities([built[0].id if built else uri, name])
    if not found:
        raise InputError(
            f"the image {uri} is not here, and none is pulled; build ours with "
            "`python -m pipelines image build`"
        )
    return next(iter(found.values()))


def leading() -> dict[str, str]:
    """The variables by which a container reaches the rehearsal."""
    return {name: value for name, value in os.environ.items() if name.startswith(_OURS)}


def seen(environment: Mapping[str, str]) -> dict[str, Path]:
    """Folders that a container sees where they lie: the certificate's, and MLflow's database."""
    found: list[Path] = []
    if bundle := environment.get("REQUESTS_CA_BUNDLE"):
        found.append(Path(bundle).parent)
    kind, _, file = environment.get("MLFLOW_TRACKING_URI", "").partition(":///")
    if kind == "sqlite":
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        found.append(Path(file).parent)
    return {str(folder): folder for folder in found}
