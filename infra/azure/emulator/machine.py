"""One node of a job: its container, as a process of this environment or in Docker.

A node's folders are the job's own, and it sees them where they lie: what the command says of them
is right in a process and in a container.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from infra.rehearsal.machine import Container, Machine, contained, process

_CODE = Path(__file__).resolve().parents[3]
"""Where the code of the steps lies; our images say it by PYTHONPATH, too."""
_SHELL = ("/bin/bash", "-c")


class Work(NamedTuple):
    """What a node is to run: ``command`` is a line for bash. ``folder`` is all that it sees."""

    image: str
    command: str
    environment: Mapping[str, str]
    folder: Path
    log: Path

    def container(self) -> Container:
        """By Azure ML's contract."""
        return Container(
            self.image, (*_SHELL, self.command), self.environment, self.folder, self.log,
            mounts={str(self.folder): self.folder}, workdir=str(self.folder / "wd"),
        )  # fmt: skip


class Machines(Protocol):
    """Starts nodes in one way."""

    def start(self, work: Work) -> Machine:
        """Start a container. Raises TrefoilError where it cannot be started."""


def choose(runner: str, workspace: Path) -> Machines:
    """The machines that ``--runner`` names."""
    return Containers(workspace) if runner == "docker" else Processes()


class Processes:
    """Each container is a process group of this interpreter's environment."""

    def start(self, work: Work) -> Machine:
        """See Machines."""
        line = f"cd {shlex.quote(str(work.folder / 'wd'))} && {work.command}"
        return process(
            (*_SHELL, line), {"PYTHONPATH": str(_CODE), **work.environment}, work.container()
        )


class Containers:
    """Each container is one of Docker's, on the host's network: the way to the proxy."""

    def __init__(self, workspace: Path) -> None:
        self._workspace = workspace

    def start(self, work: Work) -> Machine:
        """See Machines. Raises InputError where the image is not here."""
        return contained(work.container(), (self._workspace, *self._workspace.parents[:3]))
