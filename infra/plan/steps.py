"""A step, the plan that it belongs to, and the request that a place is sent."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from infra.plan.data import Json, canonical, to_data
from infra.plan.sources import (
    Argument,
    Collected,
    Condition,
    FinalStatus,
    Imported,
    Source,
    operands,
    outputs_of,
)

SCHEMA = 1
"""Version of what a Plan says and of what its steps are told; images carry it as a label."""

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Resources(NamedTuple):
    """What a step asks for. ``memory_gb`` is in units of 10**9 bytes."""

    cpu: float | None = None
    memory_gb: float | None = None
    accelerator: str | None = None
    accelerators: int = 0
    nodes: int = 1
    spot: bool = False


class Retry(NamedTuple):
    """How often a failed step is tried again, and how long to wait before (seconds)."""

    limit: int = 0
    backoff: float = 0.0
    factor: float = 2.0
    longest: float = 3600.0


class Step(NamedTuple):
    """One container: its command, where its inputs come from, and when it may run.

    ``task`` is where the IR has it: the names of the tasks from the root down to it; steps that
    are iterations of one loop have the same.
    ``parameters`` and ``artifacts`` map an output's name to its KFP type. ``after`` are the steps
    that must have ended first; ``always`` runs the step even if they failed or were skipped.
    """

    name: str
    image: str
    argv: tuple[Argument, ...]
    env: Mapping[str, str] = _NOTHING
    inputs: Mapping[str, Source] = _NOTHING
    parameters: Mapping[str, str] = _NOTHING
    artifacts: Mapping[str, str] = _NOTHING
    after: tuple[str, ...] = ()
    when: Condition | None = None
    always: bool = False
    cache: bool = True
    retry: Retry = Retry()
    timeout: float | None = None
    resources: Resources = Resources()
    platforms: Mapping[str, Json] = _NOTHING
    task: tuple[str, ...] = ()

    def needs(self) -> tuple[str, ...]:
        """Names of the steps that must have ended before this one can start."""
        found = dict.fromkeys(self.after)
        for source in (*self.inputs.values(), *operands(self.when)):
            if isinstance(source, FinalStatus):
                found.update(dict.fromkeys(source.steps))
            found.update(dict.fromkeys(output.step for output in outputs_of(source)))
        return tuple(found)


class Plan(NamedTuple):
    """A pipeline, read and bound to its parameters. Steps stand in an order they could run in.

    ``source`` is the IR that it was read from, for the places that take IR themselves.
    """

    name: str
    steps: tuple[Step, ...]
    parameters: Mapping[str, Json] = _NOTHING
    description: str = ""
    source: Mapping[str, Any] = _NOTHING

    def step(self, name: str) -> Step:
        """Return the step called ``name``. Raises KeyError."""
        return next(step for step in self.steps if step.name == name)

    def digest(self) -> str:
        """SHA-256 of everything that the plan says, in hex, in whatever order it says it."""
        steps: dict[str, Json] = {step.name: to_data(step) for step in self.steps}
        said: dict[str, Json] = {
            "name": self.name,
            "parameters": to_data(self.parameters),
            "steps": steps,
        }
        return hashlib.sha256(canonical(said)).hexdigest()


class Request(NamedTuple):
    """What a provider is sent, as pure data. ``notes`` say what has no effect in that place."""

    provider: str
    run_id: str
    plan: Plan
    body: Mapping[str, Json]
    notes: tuple[str, ...] = ()


def imports_of(step: Step) -> tuple[Imported, ...]:
    """What a step takes from outside the pipeline."""
    found: list[Imported] = []
    for source in step.inputs.values():
        each = source.sources if isinstance(source, Collected) else (source,)
        found.extend(one for one in each if isinstance(one, Imported))
    return tuple(found)
