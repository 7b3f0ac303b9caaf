"""One host of a job: its container, as a process of this environment or in Docker.

As a process, /opt/ml is a folder: in the command and in the environment its name is changed to
that folder's, and TREFOIL_OPT_ML says where it is. Paths inside files are not changed. A server's
port is another than 8080: in the command it is changed, and SAGEMAKER_BIND_TO_PORT says it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from infra.rehearsal.machine import Container, Machine, contained, name_of, process

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

    def container(self) -> Container:
        """By SageMaker's contract; an image's own command is told what it is to do."""
        return Container(
            self.image, self.words, self.environment, self.ml.parent, self.log,
            mounts={"/opt/ml": self.ml}, arguments=["serve" if self.port else "train"],
            port=self.port,
        )  # fmt: skip


class Machines(Protocol):
    """Starts hosts in one way."""

    def start(self, work: Work) -> Machine:
        """Start a container. Raises TrefoilError where it cannot be started."""


def choose(runner: str, workspace: Path, commands: Mapping[str, Sequence[str]]) -> Machines:
    """The machines that ``--runner`` names.

    ``commands`` are what images do by themselves, by their names, for processes. Raises InputError.
    """
    return Containers(workspace) if runner == "docker" else Processes({**_COMMANDS, **commands})


class Processes:
    """Each container is a process group of this interpreter's environment."""

    def __init__(self, commands: Mapping[str, Sequence[str]]) -> None:
        self._commands = commands

    def start(self, work: Work) -> Machine:
        """See Machines. Raises InputError where the image's own command would be needed."""
        ml = str(work.ml.resolve())
        command = work.words or self._commands.get(name_of(work.image), ())
        words = [_PLACE.sub(lambda _: ml, word) for word in command]
        environment = {n: _PLACE.sub(lambda _: ml, v) for n, v in work.environment.items()}
        if work.port:
            words = [str(work.port) if word == _PORT else word for word in words]
            environment["SAGEMAKER_BIND_TO_PORT"] = str(work.port)
        return process(words, {**environment, ROOT: ml}, work.container())


class Containers:
    """Each container is one of Docker's."""

    def __init__(self, workspace: Path) -> None:
        self._workspaces = (workspace, *workspace.parents[:3])

    def start(self, work: Work) -> Machine:
        """See Machines. Raises InputError where the image is not here."""
        return contained(work.container(), self._workspaces)
