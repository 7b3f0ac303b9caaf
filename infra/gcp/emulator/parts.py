"""The parts that Vertex AI is made of here: jobs, pipelines, endpoints, operations."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from infra.gcp.emulator.jobs import Jobs
from infra.gcp.emulator.pipelines import Pipelines
from infra.gcp.emulator.vertex import Operation
from infra.gcp.emulator.world import World


class Parts:
    """All of them, begun and ended together."""

    def __init__(self, world: World, workspace: Path, runner: str, looking: bool) -> None:
        self._jobs = Jobs(world)
        self._pipelines = Pipelines(world, workspace, runner, looking)

    def operations(self) -> Mapping[str, Operation]:
        """What each does, by the IDs of the description."""
        return {**self._jobs.operations(), **self._pipelines.operations()}

    def logs(self, job: str) -> list[tuple[str, Path, float]]:
        """Each log of a job, by its ID: its name, its file, and when it began."""
        return [*self._jobs.logs(job), *self._pipelines.logs(job)]

    def resume(self, address: str) -> None:
        """Go on with what was under way when the stand-in ended; it answers at an address now."""
        self._jobs.resume()
        self._pipelines.resume(address)

    def close(self) -> None:
        """Halt what is under way."""
        self._pipelines.close()
        self._jobs.close()
