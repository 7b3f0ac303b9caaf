"""The most that a run can cost. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator

from infra import prices
from infra.cloud.overrides import over, priced
from infra.gcp import GcpSettings
from infra.gcp.jobs import CUSTOM_JOB, is_alone, is_custom, rented
from infra.gcp.machines import called, machine
from infra.plan import Plan, Step
from infra.prices import Use

_PLACE = "gcp"


def price(plan: Plan, settings: GcpSettings) -> float:
    """Price x longest time x nodes x attempts of every step, in US dollars; NaN: not known."""
    return prices.ceiling(_PLACE, uses(plan, settings).values(), settings.prices)


def uses(plan: Plan, settings: GcpSettings) -> dict[str, Use]:
    """By step, what it has of which machines at most; where they differ, by step and pool."""
    found: dict[str, Use] = {}
    for step in plan.steps:
        custom = is_alone(plan) or is_custom(step, settings)
        for number, use in enumerate(_uses(step, settings, custom), 1):
            found[step.name if number == 1 else f"{step.name}, pool {number}"] = use
    return found


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


def _uses(step: Step, settings: GcpSettings, custom: bool) -> Iterator[Use]:
    """Of a CustomJob as its request has it, overrides over that; one for each type of machine.

    Which machine a pipeline's own step gets is Vertex AI's to choose, by what the step asks for.
    """
    attempts = 1 + step.retry.limit
    if not custom:
        seconds = float(step.timeout or settings.max_runtime)
        yield Use(machine(step, settings).name, seconds, step.resources.nodes, attempts)
        return
    many: dict[str, int] = {}
    with priced(step.name):
        asked = over({"jobSpec": rented(step, settings)}, settings.overrides.get(CUSTOM_JOB, {}))
        seconds = float(str(asked["jobSpec"]["scheduling"]["timeout"]).removesuffix("s"))
        for pool in asked["jobSpec"]["workerPoolSpecs"]:
            name = called(pool["machineSpec"])
            many[name] = many.get(name, 0) + int(pool["replicaCount"])
    for name, count in many.items():
        yield Use(name, seconds, count, attempts)
