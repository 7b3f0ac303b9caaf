"""One replica of a job: its container, as a process of this environment or in Docker.

As a process, /gcs is a folder: where a word of the command or a variable begins with it, it is
changed to that folder's name, and TREFOIL_GCS says where it is. Paths inside files are not changed.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from infra import docker, images
from infra.errors import InputError
from infra.local.process import Process, program
from infra.local.rundir import StepDirectory

ROOT = "TREFOIL_GCS"
_PLACE = re.compile(r"(?<![\w./-])/gcs(?=/)")


class Work(NamedTuple):
    """What a replica is to run. ``gcs`` is the folder that it sees as /gcs, ``place`` its own."""

    image: str
    words: list[str]
    environment: Mapping[str, str]
    gcs: Path
    place: Path


class Machine(Protocol):
    """A machine whose container runs."""

    def wait(self) -> int:
        """Wait for its end; the exit code, as Docker has it."""

    def terminate(self) -> None:
        """Send SIGTERM."""

    def kill(self) -> None:
        """End it at once."""


class Machines(Protocol):
    """Starts machines in one way."""

    def hosts(self, count: int) -> list[str]:
        """What the machines of a job are called, so that each reaches the others."""

    def start(self, work: Work) -> Machine:
        """Start a container. Raises TrefoilError where it cannot be started."""


def choose(runner: str, workspace: Path) -> Machines:
    """The machines that ``--runner`` names."""
    return Containers(workspace) if runner == "docker" else Processes()


def mapped(text: str, gcs: Path) -> str:
    """A word of a command, /gcs in it changed to a folder."""
    return _PLACE.sub(lambda _: str(gcs.resolve()), text)


class Processes:
    """Each container is a process group of this interpreter's environment."""

    def hosts(self, count: int) -> list[str]:
        """See Machines."""
        return [f"127.0.0.{number}" for number in range(1, count + 1)]

    def start(self, work: Work) -> Machine:
        """See Machines. Raises InputError where the image's own command would be needed."""
        if not work.words:
            raise InputError(
                f"only Docker knows the command of the image {work.image}; rehearse it with "
                "--runner docker"
            )
        words = [mapped(word, work.gcs) for word in work.words]
        environment = {name: mapped(text, work.gcs) for name, text in work.environment.items()}
        environment[ROOT] = str(work.gcs.resolve())
        argv = [program(words[0]), *words[1:]]
        place = StepDirectory(work.place)
        return Coded(Process(argv, environment, place, work.place / "log"))


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

    def hosts(self, count: int) -> list[str]:
        """See Machines."""
        return [f"127.0.0.{number}" for number in range(1, count + 1)]

    def start(self, work: Work) -> Machine:
        """See Machines. Raises InputError where the image is not here."""
        name = f"trefoil-{hashlib.sha256(str(work.place.resolve()).encode()).hexdigest()[:16]}"
        docker.attempt("rm", "--force", name)  # of a rehearsal that was killed
        options = ["--name", name, "--label", "trefoil.rehearsal", "--pull", "never"]
        options += ["--user", f"{os.getuid()}:{os.getgid()}", "--env", "HOME=/tmp"]
        options += ["--network", "host", "--volume", f"{work.gcs.resolve()}:/gcs"]
        shared = str(self._workspace.resolve())  # what the pipeline's engine hands on lies there
        options += ["--volume", f"{shared}:{shared}"]
        for variable in work.environment:
            options += ["--env", variable]
        if work.words:
            options += ["--entrypoint", work.words[0]]
        argv = [docker.program(), "run", *options, self._image(work.image), *work.words[1:]]
        place = StepDirectory(work.place)
        return Contained(Process(argv, dict(work.environment), place, work.place / "log"), name)

    def _image(self, uri: str) -> str:
        """The ID of what is here of an image; of ours, what was built last."""
        name = re.split(r"[:@]", uri.rpartition("/")[2])[0]
        places = (self._workspace, *self._workspace.parents[:2])
        built = [each for place in places if (each := images.find(place, name))]
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
        docker.attempt("kill", self._name)
        self._client.kill()
