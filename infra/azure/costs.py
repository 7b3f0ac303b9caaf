"""Which machine a step runs on, and the most that a run can cost. Pure.

Who asks for nothing gets the setting ``instance_type``, which is what the clusters have; who asks,
the cheapest machine that has it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from infra import machines, prices
from infra.azure import AzureSettings
from infra.azure.jobs import cluster, over, timeout
from infra.cloud.overrides import priced
from infra.plan import Plan, Step
from infra.prices import Use

_PLACE = "azure"


def machine(step: Step, settings: AzureSettings) -> str:
    """The type of the step's machines. Raises UnsupportedError where none is so large."""
    asked = step.resources
    if not (asked.cpu or asked.memory_gb or asked.accelerators):
        return settings.instance_type
    return machines.smallest(_PLACE, step, settings.prices).name


def price(plan: Plan, settings: AzureSettings) -> float:
    """Price x longest time x nodes x attempts of every step, in US dollars; NaN: not known."""
    return prices.ceiling(_PLACE, uses(plan, settings).values(), settings.prices)


def uses(plan: Plan, settings: AzureSettings) -> dict[str, Use]:
    """By step, what it has of which machines at most."""
    return {step.name: _use(step, settings) for step in plan.steps}


def notes(plan: Plan, settings: AzureSettings) -> Iterator[str]:
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


def _use(step: Step, settings: AzureSettings) -> Use:
    """As the node has it, overrides over it; a command is tried again on the machine it has."""
    asked = over({
        "compute": cluster(step, settings),
        "resources": {
            "instance_type": machine(step, settings), "instance_count": step.resources.nodes,
        },
        "limits": {"timeout": timeout(step, settings)},
    }, step, settings)  # fmt: skip
    with priced(step.name):
        name = str(asked["compute"]).removeprefix("azureml:")
        resources = asked["resources"]
        kind = name if name in settings.prices else resources["instance_type"]
        return Use(kind, float(asked["limits"]["timeout"]), int(resources["instance_count"]))
