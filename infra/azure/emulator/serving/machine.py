"""The container of a server, as a process of this environment or in Docker.

As a process, the folder where the model is mounted is another: in the environment its name is
changed to that one's, and the port is one that is free here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from infra.rehearsal.machine import Container, Machine, contained, name_of, process

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

    def container(self, port: int) -> Container:
        """By Azure ML's contract; its port is ``port`` here."""
        return Container(
            self.image, (), self.environment, self.log.parent, self.log,
            mounts={f"{self.mount}:ro": self.model}, port=port, listens=self.port,
        )  # fmt: skip


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
        command = self._commands.get(name_of(work.image), ())
        words = [str(port) if word == str(work.port) else word for word in command]
        here = str(work.model.resolve())
        environment = {n: v.replace(work.mount, here) for n, v in work.environment.items()}
        return process(words, {**environment, PORT: str(port)}, work.container(port))


class _Containers:
    """On a network of its own: a server reaches nothing."""

    def __init__(self, workspace: Path) -> None:
        self._workspace = workspace

    def start(self, work: Serving, port: int) -> Machine:
        return contained(work.container(port), (self._workspace, *self._workspace.parents[:3]))
