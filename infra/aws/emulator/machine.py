"""One host of a job: its container, as a process of this environment or in Docker.

As a process, /opt/ml is a folder: in the command and in the environment its name is changed to
that folder's, and TREFOIL_OPT_ML says where it is. Paths inside files are not changed. A server's
port is another than 8080: in the command it is changed, and SAGEMAKER_BIND_TO_PORT says it.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from infra import docker, images
from infra.errors import InputError
from infra.local.process import Process, program
from infra.local.rundir import StepDirectory

ROOT = "TREFOIL_OPT_ML"
"""Names, for a process, the folder that stands for /opt/ml."""
_PLACE = re.compile(r"/opt/ml(?![\w.-])")
_PORT = "8080"
"""Where a server listens, by its contract."""
_COMMANDS = {
    "trefoil-server": (
        "python", "-m", "components.serve", "serve",
        "--model", "/opt/ml/model", "--host", "127.0.0.1", "--port", _PORT,
    )
}  # fmt: skip
"""What images of ours do by themselves, which only Docker would know."""
_LABEL = "trefoil.rehearsal"


class Work(NamedTuple):
    """What a host is to run. ``ml`` is the folder that it sees as /opt/ml.

    A server has a ``port``: that of this machine by which it is reached.
    """

    image: str
    words: list[str]
    environment: Mapping[str, str]
    ml: Path
    log: Path
    port: int = 0


class Machine(Protocol):
    """A host whose container runs."""

    def wait(self) -> int:
        """Wait for its end; the exit code, as Docker has it."""

    def terminate(self) -> None:
        """Send SIGTERM."""

    def kill(self) -> None:
        """End it at once."""


class Machines(Protocol):
    """Starts hosts in one way."""

    def hosts(self, count: int) -> list[str]:
        """What the hosts of a job are called, so that each reaches the others."""

    def start(self, work: Work) -> Machine:
        """Start a container. Raises TrefoilError where it cannot be started."""


def choose(runner: str, workspace: Path, commands: Mapping[str, Sequence[str]]) -> Machines:
    """The machines that ``--runner`` names.

    ``commands`` are what images do by themselves, by their names, for processes. Raises InputError.
    """
    return Containers(workspace) if runner == "docker" else Processes({**_COMMANDS, **commands})


def hosts(count: int) -> list[str]:
    """Names of hosts that lead to this machine, wherever there is more than one."""
    return ["algo-1"] if count == 1 else [f"127.0.0.{number}" for number in range(1, count + 1)]


class Processes:
    """Each container is a process group of this interpreter's environment."""

    def __init__(self, commands: Mapping[str, Sequence[str]]) -> None:
        self._commands = commands

    def hosts(self, count: int) -> list[str]:
        """See Machines."""
        return hosts(count)

    def start(self, work: Work) -> Machine:
        """See Machines. Raises InputError where the image's own command would be needed."""
        command = work.words or self._commands.get(_name(work.image))
        if not command:
            raise InputError(
                f"only Docker knows the command of the image {work.image}; rehearse it with "
                "--runner docker"
            )
        ml = str(work.ml.resolve())
        words = [_PLACE.sub(lambda _: ml, word) for word in command]
        environment = {n: _PLACE.sub(lambda _: ml, v) for n, v in work.environment.items()}
        if work.port:
            words = [str(work.port) if word == _PORT else word for word in words]
            environment["SAGEMAKER_BIND_TO_PORT"] = str(work.port)
        place = StepDirectory(work.ml.parent)
        argv = [program(words[0]), *words[1:]]
        return Coded(Process(argv, {**environment, ROOT: ml}, place, work.log))


class Coded:
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


class Containers:
    """Each container is one of Docker's, on the host's network: the way to the proxy."""

    def __init__(self, workspace: Path) -> None:
        self._workspaces = (workspace, *workspace.parents[:2])

    def hosts(self, count: int) -> list[str]:
        """See Machines."""
        return hosts(count)

    def start(self, work: Work) -> Machine:
        """See Machines. Raises InputError where the image is not here."""
        name = f"trefoil-{hashlib.sha256(str(work.ml.resolve()).encode()).hexdigest()[:16]}"
        docker.attempt("rm", "--force", name)  # of a rehearsal that was killed
        options = ["--name", name, "--label", _LABEL, "--pull", "never"]
        options += ["--user", f"{os.getuid()}:{os.getgid()}", "--env", "HOME=/tmp"]
        options += ["--volume", f"{work.ml.resolve()}:/opt/ml"]
        environment = dict(work.environment)
        if work.port:  # a server has a network of its own, and reaches nothing
            options += ["--publish", f"127.0.0.1:{work.port}:{_PORT}"]
        else:
            options += ["--network", "host"]
            environment = {**_ours(), **environment}
        for folder in _seen(environment):
            options += ["--volume", f"{folder}:{folder}"]
        for variable in environment:
            options += ["--env", variable]
        if work.words:
            options += ["--entrypoint", work.words[0]]
        rest = work.words[1:] if work.words else ["serve" if work.port else "train"]
        argv = [docker.program(), "run", *options, self._image(work.image), *rest]
        place = StepDirectory(work.ml.parent)
        return Contained(Process(argv, environment, place, work.log), name)

    def _image(self, uri: str) -> str:
        """The ID of what is here of an image; of ours, what was built last."""
        name = _name(uri)
        built = [each for place in self._workspaces if (each := images.find(place, name))]
        found = docker.identities([built[0].id if built else uri, name])
        if not found:
            raise InputError(
                f"the image {uri} is not here, and none is pulled; build ours with "
                "`python -m pipelines image build`"
            )
        return next(iter(found.values()))


class Contained:
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


def _name(uri: str) -> str:
    """What an image is called in its registry."""
    return re.split(r"[:@]", uri.rpartition("/")[2])[0]


def _ours() -> dict[str, str]:
    """The variables by which a container reaches the rehearsal, and no cloud."""
    begins = ("AWS_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "SSL_CERT_")
    return {name: value for name, value in os.environ.items() if name.startswith(begins)}


def _seen(environment: Mapping[str, str]) -> list[str]:
    """Folders that a container sees where they lie: the certificate's, and MLflow's database."""
    found = []
    if bundle := environment.get("AWS_CA_BUNDLE"):
        found.append(str(Path(bundle).parent))
    kind, _, file = environment.get("MLFLOW_TRACKING_URI", "").partition(":///")
    if kind == "sqlite":
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        found.append(str(Path(file).parent))
    return found
