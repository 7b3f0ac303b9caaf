"""One node of a job: its container, as a process of this environment or in Docker.

A node's folders are the job's own, and it sees them where they lie: what the command says of them
is right in a process and in a container.
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
from infra.local.process import Process
from infra.local.rundir import StepDirectory

_LABEL = "trefoil.rehearsal"
_CODE = Path(__file__).resolve().parents[3]
"""Where the code of the steps lies; our images say it by PYTHONPATH, too."""
_OURS = ("AZURE_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "SSL_CERT_")
"""How the variables begin by which a container reaches the rehearsal, and no cloud."""


class Work(NamedTuple):
    """What a node is to run: ``command`` is a line for bash. ``folder`` is all that it sees."""

    image: str
    command: str
    environment: Mapping[str, str]
    folder: Path
    log: Path


class Machine(Protocol):
    """A node whose container runs."""

    def wait(self) -> int:
        """Wait for its end; the exit code, as Docker has it."""

    def terminate(self) -> None:
        """Send SIGTERM."""

    def kill(self) -> None:
        """End it at once."""


class Machines(Protocol):
    """Starts nodes in one way."""

    def start(self, work: Work) -> Machine:
        """Start a container. Raises TrefoilError where it cannot be started."""


def choose(runner: str, workspace: Path, _commands: Mapping[str, Sequence[str]]) -> Machines:
    """The machines that ``--runner`` names."""
    return Containers(workspace) if runner == "docker" else Processes()


class Processes:
    """Each container is a process group of this interpreter's environment."""

    def start(self, work: Work) -> Machine:
        """See Machines."""
        line = f"cd {work.folder / 'wd'} && {work.command}"
        place = StepDirectory(work.folder)
        environment = {"PYTHONPATH": str(_CODE), **work.environment}
        return Coded(Process(["/bin/bash", "-c", line], environment, place, work.log))


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
        self._workspace = workspace

    def start(self, work: Work) -> Machine:
        """See Machines. Raises InputError where the image is not here."""
        name = f"trefoil-{hashlib.sha256(str(work.folder).encode()).hexdigest()[:16]}"
        docker.attempt("rm", "--force", name)  # of a rehearsal that was killed
        options = ["--name", name, "--label", _LABEL, "--pull", "never", "--network", "host"]
        options += ["--user", f"{os.getuid()}:{os.getgid()}", "--env", "HOME=/tmp"]
        options += ["--volume", f"{work.folder}:{work.folder}"]
        options += ["--workdir", str(work.folder / "wd"), "--entrypoint", "/bin/bash"]
        environment = {**_ours(), **work.environment}
        for folder in _seen(environment):
            options += ["--volume", f"{folder}:{folder}"]
        for variable in environment:
            options += ["--env", variable]
        image = identity(self._workspace, work.image)
        argv = [docker.program(), "run", *options, image, "-c", work.command]
        place = StepDirectory(work.folder)
        return Contained(Process(argv, environment, place, work.log), name)


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


def identity(workspace: Path, uri: str) -> str:
    """The ID of what is here of an image; of ours, what was built last. Raises InputError."""
    name = re.split(r"[:@]", uri.rpartition("/")[2])[0]
    places = (workspace, *workspace.parents[:2])
    built = [each for place in places if (each := images.find(place, name))]
    found = docker.identities([built[0].id if built else uri, name])
    if not found:
        raise InputError(
            f"the image {uri} is not here, and none is pulled; build ours with "
            "`python -m pipelines image build`"
        )
    return next(iter(found.values()))


def _ours() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(_OURS)}


def _seen(environment: Mapping[str, str]) -> list[str]:
    """Folders that a container sees where they lie: the certificate's, and MLflow's database."""
    found = []
    if bundle := environment.get("REQUESTS_CA_BUNDLE"):
        found.append(str(Path(bundle).parent))
    kind, _, file = environment.get("MLFLOW_TRACKING_URI", "").partition(":///")
    if kind == "sqlite":
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        found.append(str(Path(file).parent))
    return found
