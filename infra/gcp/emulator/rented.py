"""What stands between the engine and the machines of a pipeline's own steps: the scenario."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable

from infra.errors import ProviderError
from infra.gcp.emulator.drive import STOCKOUT
from infra.gcp.emulator.refusal import Refused
from infra.gcp.emulator.unlowered import is_launch
from infra.gcp.emulator.world import World
from infra.local.rundir import StepDirectory
from infra.local.runner import Attempt, Job, Runner, View
from infra.plan import Step

_MACHINE = "e2-standard-4"
"""What Vertex AI takes where a step asks for nothing."""


class Rented:
    """A runner whose machines come late, or not at all. ``refuse`` hears why a step got none."""

    def __init__(
        self, runner: Runner, world: World, over: threading.Event,
        refuse: Callable[[str, Refused], None],
    ) -> None:  # fmt: skip
        self._runner, self._world, self._over, self._refuse = runner, world, over, refuse

    def image(self, step: Step) -> str:
        """See Runner."""
        return self._runner.image(step)

    def view(self, step: Step, place: StepDirectory) -> View:
        """See Runner."""
        return self._runner.view(step, place)

    def start(self, job: Job, number: int) -> Attempt:
        """See Runner. Raises ProviderError where the scenario has no machine."""
        if not is_launch(job.argv):
            try:
                self._wait(job.step.name)
            except Refused as refused:
                self._refuse(job.step.name, refused)
                raise ProviderError(refused.message) from None
        return self._runner.start(job, number)

    def end_orphan(self, place: StepDirectory, grace: float) -> bool:
        """See Runner."""
        return self._runner.end_orphan(place, grace)

    def close(self) -> None:
        """See Runner."""
        self._runner.close()

    def _wait(self, step: str) -> None:
        world = self._world
        world.clock.wait(world.scenario.get("start", 0.0), self._over)
        world.check_quota(_MACHINE, 0, 1)
        for each in world.scenario.get("no_capacity", ()):
            if re.search(each.get("step", ""), step) and world.hindered(step) < each.get(
                "times", 1
            ):
                world.hinder(step)
                raise Refused("RESOURCE_EXHAUSTED", STOCKOUT.format(world.region))
