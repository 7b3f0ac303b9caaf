"""The machines of a cloud, of ``machines.toml``: the smallest that has what a step asks for."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from infra.errors import UnsupportedError, nearest
from infra.plan import Resources, Step

TABLE = Path(__file__).with_name("machines.toml")
_GIB = 2**30 / 1e9
_BEFORE = re.compile(r"(?i)^(nvidia|amazon|aws)[-_. /]*(tesla[-_. ]*)?")
_ANY = {"gpu", "com/gpu"}
"""What a kind of accelerator is called that may be any: nvidia.com/gpu."""


class Machine(NamedTuple):
    """A type of machine. ``memory_gb`` is in 10**9 bytes; ``usd`` is an hour's, NaN: unknown."""

    name: str
    cpu: float
    memory_gb: float
    accelerator: str = ""
    accelerators: int = 0
    usd: float = math.nan


class Table(NamedTuple):
    """The machines of one cloud, and what is to be known of their prices."""

    region: str
    date: str
    source: str
    machines: tuple[Machine, ...]


def places() -> tuple[str, ...]:
    """The clouds whose machines ``machines.toml`` knows."""
    return tuple(_tables())


@functools.cache
def _tables() -> Mapping[str, Any]:
    import tomllib

    return tomllib.loads(TABLE.read_text(encoding="utf-8"))


@functools.cache
def table(place: str) -> Table:
    """What ``machines.toml`` says of a place."""
    found = _tables()[place]
    machines = tuple(_read(each) for each in found["machines"])
    return Table(found["region"], found["date"], found["source"], machines)


def smallest(place: str, step: Step, prices: Mapping[str, float]) -> Machine:
    """The cheapest machine that has what the step asks for; ``prices`` go over the table's.

    Raises UnsupportedError where there is none.
    """
    asked = step.resources
    fitting = [each for each in _of_kind(place, step) if _fits(each, asked)]
    if not fitting:
        gpus = f", {asked.accelerators} x {asked.accelerator}" if asked.accelerators else ""
        raise UnsupportedError(
            f"step {step.name} asks for {asked.cpu or 0:g} CPUs, {asked.memory_gb or 0:g} GB"
            f"{gpus} in one machine, and {place} has none with so much; ask for less, or for more "
            "--nodes"
        )

    def cost(machine: Machine) -> tuple[bool, float, float]:
        usd = prices.get(machine.name, machine.usd)
        return math.isnan(usd), 0.0 if math.isnan(usd) else usd, machine.cpu

    return min(fitting, key=cost)


def _of_kind(place: str, step: Step) -> list[Machine]:
    """Those with the accelerator that the step asks for; those with none where it asks for none."""
    machines, asked = table(place).machines, step.resources
    if not asked.accelerators:
        return [each for each in machines if not each.accelerators]
    kind = _BEFORE.sub("", asked.accelerator or "gpu").lower()
    kinds = dict.fromkeys(each.accelerator for each in machines if each.accelerator)
    if kind in _ANY:
        return [each for each in machines if each.accelerators]
    found = [each for each in machines if each.accelerator.lower() == kind]
    if not found:
        raise UnsupportedError(
            f"step {step.name} asks for the accelerator {asked.accelerator}, and {place} has none "
            f"of that name; {nearest(kind.upper(), kinds, 'it has ')}"
        )
    return found


def _fits(machine: Machine, asked: Resources) -> bool:
    return (
        machine.cpu >= (asked.cpu or 0)
        and machine.memory_gb >= (asked.memory_gb or 0)
        and machine.accelerators >= asked.accelerators
    )


def _read(row: Mapping[str, Any]) -> Machine:
    memory = round(row["memory"] * _GIB, 3)
    return Machine(
        row["name"], row["cpu"], memory, row.get("gpu", ""), row.get("gpus", 0),
        row.get("usd", math.nan),
    )  # fmt: skip
