"""The variants of an endpoint: a model each, with its machines and its share of the requests.

A variant is kept as a mapping, so that it can be written: ``name``, ``asked`` (as in the
configuration), ``container``, and for each of ``weight`` and ``count`` what is and what is desired.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from infra.aws.emulator.serving.resource import CONFIGURATION, ENDPOINT, MODEL
from infra.aws.emulator.world import World

Variant: TypeAlias = dict[str, Any]

_KEPT = {"DesiredWeight": "weight", "DesiredInstanceCount": "count"}


def of(world: World, configuration: str) -> list[Variant]:
    """The variants that a configuration asks for. Raises Refused."""
    asked = CONFIGURATION.find(world, configuration)["request"]["ProductionVariants"]
    return [_made(world, each) for each in asked]


def retain(new: Iterable[Variant], old: Iterable[Variant], request: Mapping[str, Any]) -> None:
    """Keep weights and counts where an UpdateEndpoint asks for it."""
    if not request.get("RetainAllVariantProperties"):
        return
    excluded = request.get("ExcludeRetainedVariantProperties", ())
    without = {each["VariantPropertyType"] for each in excluded}
    before = {each["name"]: each for each in old}
    for variant in new:
        for property_, key in _KEPT.items():
            if property_ not in without and variant["name"] in before:
                variant[key] = before[variant["name"]][key]
                variant[f"desired_{key}"] = variant[key]


def check_limits(world: World, variants: Iterable[Variant]) -> None:
    """Raise Refused where the account may not have machines for these beside all that there are."""
    records = world.store.of(ENDPOINT.kind)
    used = [
        each
        for record in records
        for each in (*record["variants"], *record["pending"].get("variants", ()))
    ]
    for variant in variants:
        machine = variant["asked"].get("InstanceType")
        if machine is not None:
            there = sum(
                each["count"] for each in used if each["asked"].get("InstanceType") == machine
            )
            world.check_limit(machine, "for endpoint usage", there, variant["count"])
            used.append(variant)


def told(variants: Iterable[Variant]) -> Iterator[dict[str, Any]]:
    """Each as DescribeEndpoint has it."""
    for each in variants:
        image = each["container"]["Image"]
        found: dict[str, Any] = {
            "VariantName": each["name"],
            "DeployedImages": [{"SpecifiedImage": image, "ResolvedImage": image}],
            "CurrentWeight": each["weight"],
            "DesiredWeight": each["desired_weight"],
        }
        if serverless := each["asked"].get("ServerlessConfig"):
            found |= {"CurrentServerlessConfig": serverless, "DesiredServerlessConfig": serverless}
        found |= {"CurrentInstanceCount": each["count"]}
        found |= {"DesiredInstanceCount": each["desired_count"]}
        yield found


def _made(world: World, asked: Mapping[str, Any]) -> Variant:
    weight = asked.get("InitialVariantWeight", 1.0)
    count = 0 if "ServerlessConfig" in asked else asked.get("InitialInstanceCount", 1)
    return {
        "name": asked["VariantName"],
        "asked": dict(asked),
        "container": MODEL.find(world, asked["ModelName"])["container"],
        "weight": weight,
        "desired_weight": weight,
        "count": count,
        "desired_count": count,
    }
