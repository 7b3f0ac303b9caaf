"""The most that jobs can cost: what their machines cost, for as long as they may run at most.

Machines alone: neither storage, traffic nor requests are in it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from infra.machines import table


class Use(NamedTuple):
    """So many machines of a type, for so many seconds at most, each time that it is tried."""

    machine: str
    seconds: float
    machines: int = 1
    attempts: int = 1


def hourly(place: str, machine: str, own: Mapping[str, float]) -> float:
    """US dollars an hour: ``own``, else of the table; NaN where no price is known."""
    if machine in own:
        return own[machine]
    return next((each.usd for each in table(place).machines if each.name == machine), math.nan)


def ceiling(place: str, uses: Iterable[Use], own: Mapping[str, float]) -> float:
    """US dollars; NaN where the price of a machine is not known."""
    return sum(
        hourly(place, use.machine, own) * use.seconds / 3600 * use.machines * use.attempts
        for use in uses
    )


def told(place: str, region: str) -> str:
    """Of where and when the prices are, which are never told without it."""
    known = table(place)
    elsewhere = "" if region == known.region else f", not of {region}"
    return (
        f"prices of {known.region}{elsewhere} as of {known.date}, on demand, machines alone; they "
        f"change: {known.source}"
    )
