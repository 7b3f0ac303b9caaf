"""One replica of a job: its container, as a process of this environment or in Docker.

As a process, /gcs is a folder: where a word of the command or a variable begins with it, it is
changed to that folder's name, and TREFOIL_GCS says where it is. Paths inside files are not changed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from infra.rehearsal.machine import (
    Container,
    Machine,
    contained,
    hosts,
    image_here,
    leading,
    process,
    seen,
)

ROOT = "TREFOIL_GCS"
_PLACE = re.compile(r"(?<![\w./-])/gcs(?=/)")


class Work(NamedTuple):
    """What a replica is to run. ``gcs`` is the folder that it sees as /gcs, ``place`` its own.

    Without ``words`` the image's own command gets the ``arguments``.
    """

    image: str
    words: list[str]
    environment: Mapping[str, str]
    gcs: Path
    place: Path
    arguments: Sequence[str] = ()

    def container(self, **beside: Path) -> Container:
        """By Vertex AI's contract; ``beside`` are folders that it sees where they lie."""
        mounts = {"/gcs": self.gcs, **{str(folder): folder for folder in beside.values()}}
        log = self.place / "log"
        return Container(
            self.image, self.words, self.environment, self.place, log, mounts, self.arguments
        )


class Seen(NamedTuple):
    """What a step of a pipeline, which the engine executes, sees beside what that hands on.

    ``environment`` and ``beside``, folders by where it sees them, lead it to the rehearsal.
    """

    network: str
    environment: Mapping[str, str]
    beside: Mapping[str, Path]


class Machines(Protocol):
    """Starts machines in one way."""

    def image(self, uri: str) -> str:
        """What the engine is told of an image. Raises InputError where it is not here."""

    def path(self, text: str, gcs: Path) -> str:
        """A variable as a step of a pipeline is told it, ``gcs`` being what is seen as /gcs."""

    def seen(self, environment: Mapping[str, str], gcs: Path) -> Seen:
        """What a step of a pipeline sees that has this environment."""

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

    def image(self, uri: str) -> str:
        """See Machines."""
        return uri

    def path(self, text: str, gcs: Path) -> str:
        """See Machines."""
        return mapped(text, gcs)

    def seen(self, environment: Mapping[str, str], _gcs: Path) -> Seen:
        """See Machines. A process finds everything where it lies."""
        return Seen("bridge", environment, {})

    def hosts(self, count: int) -> list[str]:
        """See Machines."""
        return hosts(count, "127.0.0.1")

    def start(self, work: Work) -> Machine:
        """See Machines. Raises InputError where the image's own command would be needed."""
        words = [mapped(word, work.gcs) for word in work.words]
        environment = {name: mapped(text, work.gcs) for name, text in work.environment.items()}
        environment[ROOT] = str(work.gcs.resolve())
        return process(words, environment, work.container())


class Containers:
    """Each container is one of Docker's, on the host's network: the way to the proxy."""

    def __init__(self, workspace: Path) -> None:
        self._workspace = workspace.resolve()
        self._places = (self._workspace, *self._workspace.parents[:3])

    def image(self, uri: str) -> str:
        """See Machines."""
        return image_here(uri, self._places)

    def path(self, text: str, _gcs: Path) -> str:
        """See Machines."""
        return text

    def seen(self, environment: Mapping[str, str], gcs: Path) -> Seen:
        """See Machines. The workspace has the key that it signs in by."""
        way = leading()
        own = {"/gcs": gcs, str(self._workspace): self._workspace}
        return Seen("host", {**way, **environment}, {**seen(way), **own})

    def hosts(self, count: int) -> list[str]:
        """See Machines."""
        return hosts(count, "127.0.0.1")

    def start(self, work: Work) -> Machine:
        """See Machines. Raises InputError where the image is not here.

        What the engine of a pipeline hands on lies in the workspace, and is seen there.
        """
        return contained(work.container(workspace=self._workspace), self._places)
