"""Which machine a step runs on, and the most that a run can cost. Pure.

Who asks for nothing gets the setting ``machine_type``; who asks, the cheapest machine that has it.
A machine of the family n1 with accelerators is called n1-standard-4+T4 in ``machines.toml``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from infra import machines, prices
from infra.cloud.overrides import over, priced
from infra.errors import UnsupportedError, nearest
from infra.gcp import GcpSettings
from infra.machines import Machine
from infra.plan import Plan, Step
from infra.prices import Use

_PLACE = "gcp"
ACCELERATORS: Mapping[str, str] = {
    "K80": "NVIDIA_TESLA_K80", "P4": "NVIDIA_TESLA_P4", "P100": "NVIDIA_TESLA_P100",
    "V100": "NVIDIA_TESLA_V100", "T4": "NVIDIA_TESLA_T4", "A100": "NVIDIA_TESLA_A100",
    "A100-80GB": "NVIDIA_A100_80GB", "L4": "NVIDIA_L4", "H100": "NVIDIA_H100_80GB",
    "H100-MEGA": "NVIDIA_H100_MEGA_80GB", "H200": "NVIDIA_H200_141GB", "B200": "NVIDIA_B200",
}  # fmt: skip
"""What Vertex AI calls them."""
OURS = {theirs: ours for ours, theirs in ACCELERATORS.items()}


def machine(step: Step, settings: GcpSettings) -> Machine:
    """The step's machine. Raises UnsupportedError where none is so large."""
    asked = step.resources
    if not (asked.cpu or asked.memory_gb or asked.accelerators):
        return Machine(settings.machine_type, 0, 0)
    kind = OURS.get(asked.accelerator or "", asked.accelerator)
    own = step._replace(resources=asked._replace(accelerator=kind))
    return machines.smallest(_PLACE, own, settings.prices)


def machine_spec(step: Step, settings: GcpSettings) -> dict[str, Any]:
    """The same as Vertex AI is told it."""
    found = machine(step, settings)
    spec: dict[str, Any] = {"machineType": found.name.partition("+")[0]}
    if found.accelerators:
        spec["acceleratorType"] = ACCELERATORS[found.accelerator]
        spec["acceleratorCount"] = found.accelerators
    return spec


def accelerator(step: Step, settings: GcpSettings) -> dict[str, str]:
    """What a step of a pipeline asks for, by the old and the new names of kfp's fields.

    Raises UnsupportedError where Vertex AI has none of that kind, or no machine with so many.
    """
    kind = ACCELERATORS[machine(step, settings).accelerator]
    count = str(step.resources.accelerators)
    return {"type": kind, "count": count, "resourceType": kind, "resourceCount": count}


def attached(text: str) -> tuple[str, int]:
    """Kind and number of L4:2, as Vertex AI calls them. Raises UnsupportedError."""
    kind, _, count = text.partition(":")
    if kind not in ACCELERATORS or not (count or "1").isdecimal():
        raise UnsupportedError(
            f"gcp has no accelerator {text}; {nearest(kind, ACCELERATORS, 'it has ')}"
        )
    return ACCELERATORS[kind], int(count or 1)


def price(plan: Plan, settings: GcpSettings) -> float:
    """Price x longest time x nodes x attempts of every step, in US dollars; NaN: not known."""
    return prices.ceiling(_PLACE, uses(plan, settings).values(), settings.prices)


def uses(plan: Plan, settings: GcpSettings) -> dict[str, Use]:
    """By step, what it has of which machines at most."""
    return {step.name: _use(step, settings) for step in plan.steps}


def notes(plan: Plan, settings: GcpSettings) -> Iterator[str]:
    """What a run costs at most, and by whose prices."""
    most = price(plan, settings)
    if not math.isnan(most):
        yield f"costs at most ${most:.2f}: {prices.told(_PLACE, settings.region)}"
        return
    unknown = {
        use.machine
        for use in uses(plan, settings).values()
        if math.isnan(prices.hourly(_PLACE, use.machine, settings.prices))
    }
    yield f"no price is known of {', '.join(sorted(unknown))}: say it by the setting prices"


def _use(step: Step, settings: GcpSettings) -> Use:
    """The longest time as the request for a CustomJob has it, overrides over it."""
    longest = int(step.timeout or settings.max_runtime)
    own = {"jobSpec": {"scheduling": {"timeout": f"{longest}s"}}}
    with priced(step.name):
        asked = over(own, settings.overrides.get("CustomJob", {}))["jobSpec"]["scheduling"]
        seconds = float(str(asked["timeout"]).removesuffix("s"))
    attempts = 1 + step.retry.limit
    return Use(machine(step, settings).name, seconds, step.resources.nodes, attempts)
