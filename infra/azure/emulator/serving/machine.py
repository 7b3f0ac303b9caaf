"""The container of a server, as a process of this environment or in Docker.

As a process, the folder where the model is mounted is another: in the environment its name is
changed to that one's, and the port is one that is free here.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from infra import docker
from infra.azure.emulator.machine import Coded, Contained, Machine, identity
from infra.errors import InputError
from infra.local.process import Process, program
from infra.local.rundir import StepDirectory

PORT = "TREFOIL_PORT"
"""Names, for a process, the port where its server shall listen."""
_COMMANDS = {
    "trefoil-server": (
        "python", "-m", "components.serve", "--host", "127.0.0.1", "--port", "8080",
    )
}  # fmt: skip
"""What images of ours do by themselves, which only Docker would know."""


class Serving(NamedTuple):
    """What is to be served. ``model`` is the folder that the container sees at ``mount``."""

    image: str
    environment: Mapping[str, str]
    model: Path
    mount: str
    log: Path
    port: int


class ServingMachines(Protocol):
    """Starts servers in one way."""

    def start(self, work: Serving, port: int) -> Machine:
        """Start a container whose port is ``port`` here. Raises TrefoilError where it cannot."""


def choose(runner: str, workspace: Path, commands: Mapping[str, Sequence[str]]) -> ServingMachines:
    """The machines that ``--runner`` names.

    ``commands`` are what images do by themselves, by their names, for processes.
    """
    if runner == "docker":
        return _Containers(workspace)
    return _Processes({**_COMMANDS, **commands})


class _Processes:
    def __init__(self, commands: Mapping[str, Sequence[str]]) -> None:
        self._commands = commands

    def start(self, work: Serving, port: int) -> Machine:
        name = work.image.rpartition("/")[2].partition("@")[0].partition(":")[0]
        command = self._commands.get(name)
        if not command:
            raise InputError(
                f"only Docker knows the command of the image {work.image}; rehearse it with "
                "--runner docker"
            )
        words = [str(port) if word == str(work.port) else word for word in command]
        here = str(work.model.resolve())
        environment = {n: v.replace(work.mount, here) for n, v in work.environment.items()}
        place = StepDirectory(work.log.parent)
        argv = [program(words[0]), *words[1:]]
        return Coded(Process(argv, {**environment, PORT: str(port)}, place, work.log))


class _Containers:
    """On a network of its own: a server reaches nothing."""

    def __init__(self, workspace: Path) -> None:
        self._workspace = workspace

    def start(self, work: Serving, port: int) -> Machine:
        name = f"trefoil-{hashlib.sha256(str(work.log.resolve()).encode()).hexdigest()[:16]}"
        docker.attempt("rm", "--force", name)  # of a rehearsal that was killed
        options = ["--name", name, "--label", "trefoil.rehearsal", "--pull", "never"]
        options += ["--user", f"{os.getuid()}:{os.getgid()}", "--env", "HOME=/tmp"]
        options += ["--volume", f"{work.model.resolve()}:{work.mount}:ro"]
        options += ["--publish", f"127.0.0.1:{port}:{work.port}"]
        for variable in work.environment:
            options += ["--env", variable]
        argv = [docker.program(), "run", *options, identity(self._workspace, work.image)]
        place = StepDirectory(work.log.parent)
        return Contained(Process(argv, work.environment, place, work.log), name)
