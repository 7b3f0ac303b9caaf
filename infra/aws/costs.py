"""Which machine a step runs on, and the most that a run can cost. Pure.

Who asks for nothing gets the setting ``instance_type``; who asks, the cheapest machine that has it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from infra import machines, prices
from infra.aws import AwsSettings
from infra.aws.jobs import is_training, stopping
from infra.cloud.overrides import over, priced
from infra.plan import Plan, Step
from infra.prices import Use

_PLACE = "aws"


def machine(step: Step, settings: AwsSettings) -> str:
    """The type of the step's machines. Raises UnsupportedError where none is so large."""
    asked = step.resources
    if not (asked.cpu or asked.memory_gb or asked.accelerators):
        return settings.instance_type
    return machines.smallest(_PLACE, step, settings.prices).name


def price(plan: Plan, settings: AwsSettings) -> float:
    """Price x longest time x nodes x attempts of every step, in US dollars; NaN: not known."""
    return prices.ceiling(_PLACE, uses(plan, settings).values(), settings.prices)


def uses(plan: Plan, settings: AwsSettings) -> dict[str, Use]:
    """By step, what it has of which machines at most."""
    return {step.name: _use(step, settings) for step in plan.steps}


def notes(plan: Plan, settings: AwsSettings) -> Iterator[str]:
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


def _use(step: Step, settings: AwsSettings) -> Use:
    """As the request for the job has it, overrides over it."""
    training = is_training(step)
    operation = "CreateTrainingJob" if training else "CreateProcessingJob"
    asked: Any = over(
        {
            "ResourceConfig": {
                "InstanceType": machine(step, settings),
                "InstanceCount": step.resources.nodes,
            },
            "StoppingCondition": stopping(step, settings),
        },
        settings.overrides.get(operation, {}),
    )
    with priced(step.name):
        resources, stop = asked["ResourceConfig"], asked["StoppingCondition"]
        if not training:
            cluster = asked.get("ProcessingResources", {}).get("ClusterConfig", {})
            resources = over(resources, cluster)
        seconds = float(stop.get("MaxWaitTimeInSeconds", stop["MaxRuntimeInSeconds"]))
        many, attempts = int(resources["InstanceCount"]), 1 + step.retry.limit
        return Use(resources["InstanceType"], seconds, many, attempts)
