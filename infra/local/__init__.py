"""This machine: each step is a process of this interpreter's environment, or a container."""

from __future__ import annotations

from typing import Literal, NamedTuple

from infra.provider import WORKSPACE, Provider

ON_HOST = "TREFOIL_ON_HOST"
"""Set by a step that acts on this machine itself, so that a container is no place for it."""


class LocalSettings(NamedTuple):
    """Settings of local runs.

    ``parallel`` is how many steps run at once (0: one per processor, at least 2); ``grace`` how
    many seconds a step has to save itself when the run is ended. ``runner`` says what executes a
    step; ``network`` and ``shm`` (the size of /dev/shm) are for its container.
    """

    workspace: str = WORKSPACE
    parallel: int = 0
    grace: float = 20.0
    runner: Literal["process", "docker"] = "process"
    network: str = "bridge"
    shm: str = "1g"


PROVIDER = Provider(
    name="local",
    summary="processes or containers on this machine",
    settings=LocalSettings,
    missing={
        "spot": "nothing is rented on this machine; leave --spot out",
        "multi-node": "it is one machine",
        "rehearsal": "there is nothing to rehearse, the run itself costs nothing; leave it out",
    },
)
