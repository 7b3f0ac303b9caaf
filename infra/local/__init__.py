"""This machine: each step is a process of this interpreter's environment. No Docker, no account."""

from __future__ import annotations

from typing import Literal, NamedTuple

from infra.provider import Provider


class LocalSettings(NamedTuple):
    """Settings of local runs.

    ``parallel`` is how many steps run at once (0: one per processor); ``grace`` how many seconds
    a step has to save itself when the run is ended.
    """

    workspace: str = ".trefoil"
    parallel: int = 0
    grace: float = 20.0
    runner: Literal["process"] = "process"


PROVIDER = Provider(
    name="local",
    summary="processes on this machine",
    settings=LocalSettings,
    missing={
        "gpu": "its steps take whatever this machine has; leave --gpu out",
        "spot": "nothing is rented on this machine; leave --spot out",
        "multi-node": "it is one machine",
        "rehearsal": "there is nothing to rehearse, the run itself costs nothing; leave it out",
        "docker": "its steps are processes",
    },
)
