"""What executes the steps of a run: processes of this environment, or containers.

A step's command names files. Where a step finds them depends on who executes it: a process sees
them where they lie, a container where they are mounted. ``View`` is the step's side of that.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from infra.local import LocalSettings
from infra.local.ending import Ending
from infra.local.rundir import StepDirectory
from infra.plan import Plan, Step

_NOTHING: Mapping[str, Path] = {}


class View(NamedTuple):
    """Where a step sees its own directory, and its inputs: empty means where they lie."""

    root: str
    inputs: str = ""

    def input(self, name: str, path: Path) -> str:
        """Where the step sees an input artefact."""
        return f"{self.inputs}/{name}" if self.inputs else str(path)


class Job(NamedTuple):
    """A step, ready to be started. ``reads`` are its input artefacts, by the name seen."""

    step: Step
    place: StepDirectory
    argv: list[str]
    env: Mapping[str, str]
    reads: Mapping[str, Path]


class Attempt(Protocol):
    """A running attempt of a step."""

    def wait(self) -> Ending:
        """Wait for its end."""

    def terminate(self) -> None:
        """Ask it to end: a step that can saves a checkpoint first."""

    def kill(self) -> None:
        """End it at once."""


class Runner(Protocol):
    """Executes steps in one way."""

    def image(self, step: Step) -> str:
        """Digest of the image that the step runs in; empty where it runs in this environment."""

    def view(self, step: Step, place: StepDirectory) -> View:
        """How the step sees its files."""

    def start(self, job: Job, number: int) -> Attempt:
        """Start an attempt of the step. Raises TrefoilError where it cannot be started."""

    def end_orphan(self, place: StepDirectory, grace: float) -> bool:
        """End what a killed run of the step left running, and wait; False if nothing was."""

    def close(self) -> None:
        """Wait for whatever is still being put away."""


def choose(settings: LocalSettings, plan: Plan, beside: Mapping[str, Path] = _NOTHING) -> Runner:
    """The runner that the settings name, ready for the plan. Raises TrefoilError.

    ``beside`` are folders that a step sees in its container, too, by where it does.
    """
    if settings.runner == "docker":
        from infra.local.container import Containers

        return Containers(settings, plan, beside)
    return Processes()


class Processes:
    """Each step is a process of this interpreter's environment, whatever image it names."""

    def image(self, _step: Step) -> str:
        """None: see the protocol."""
        return ""

    def view(self, _step: Step, place: StepDirectory) -> View:
        """Everything where it lies."""
        return View(str(place.root.resolve()))

    def start(self, job: Job, number: int) -> Attempt:
        """Start the process. Raises InputError where its program is not on PATH."""
        from infra.local.process import Process, program  # subprocess: 3 ms, spared when cached

        argv = [program(job.argv[0]), *job.argv[1:]]
        return Process(argv, job.env, job.place, job.place.log(number))

    def end_orphan(self, place: StepDirectory, grace: float) -> bool:
        """End the process group that still holds the step. Raises ProviderError."""
        from infra.local.process import end_orphan

        return end_orphan(place, grace)

    def close(self) -> None:
        """Nothing is put away."""
