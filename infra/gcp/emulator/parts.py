"""The parts that Vertex AI is made of here: jobs, pipelines, endpoints, operations."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from infra.gcp.emulator.jobs import Jobs
from infra.gcp.emulator.pipelines import Pipelines
from infra.gcp.emulator.serving import Serving
from infra.gcp.emulator.vertex import Operation
from infra.gcp.emulator.world import World


class Parts:
    """All of them, begun and ended together."""

    def __init__(self, world: World, workspace: Path, runner: str, looking: bool) -> None:
        self._jobs = Jobs(world)
        self._pipelines = Pipelines(world, workspace, runner, looking)
        self._serving = Serving(world)

    def operations(self) -> Mapping[str, Operation]:
        """What each does, by the IDs of the description."""
        parts = (self._jobs, self._pipelines, self._serving)
        return {name: does for part in parts for name, does in part.operations().items()}

    def logs(self, job: str) -> list[tuple[str, Path, float]]:
        """Each log of a job or an endpoint, by its ID: its name, its file, and when it began."""
        found = (part.logs(job) for part in (self._jobs, self._pipelines, self._serving))
        return [log for part in found for log in part]

    def resume(self, address: str) -> None:
        """Go on with what was under way when the stand-in ended; it answers at an address now."""
        self._jobs.resume()
        self._pipelines.resume(address)
        self._serving.resume()

    def close(self) -> None:
        """Halt what is under way."""
        self._pipelines.close()
        self._jobs.close()
        self._serving.close()
