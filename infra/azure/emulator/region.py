"""What a region has of machines, and how many of them the account may have."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from infra.azure.emulator.refusal import Refused
from infra.azure.emulator.routing import PROVIDER, Asked, Route
from infra.azure.emulator.world import World
from infra.machines import Machine, table
from infra.rehearsal.server import Answer, answer

_SIZE = re.compile(r"Standard_(?P<series>[A-Z]+)\d+(?P<more>[a-z]*)(?:_(?P<chip>[A-Z]\w*?))?"
                   r"(?:_(?P<version>v\d+))?")  # fmt: skip
_MANY = 10_000
"""vCPUs that an account may have where the scenario gives it no limit."""
_TOTALS = {
    "dedicatedCores": "Total Cluster Dedicated Regional vCPUs",
    "lowPriorityCores": "Total Cluster LowPriority Regional vCPUs",
}


class Region:
    """Answers for the region of the workspace."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[Route]:
        """What is asked of it; its paths begin at the subscription."""
        return [
            Route("GET", "/locations/([^/]+)/vmSizes", self._sizes),
            Route("GET", "/locations/([^/]+)/usages", self._usages),
        ]

    def _sizes(self, asked: Asked) -> Answer:
        self._require(asked)
        return answer({"value": [
            {
                "name": each.name, "family": f"standard{family(each.name)}Family",
                "vCPUs": int(each.cpu), "gpus": each.accelerators, "lowPriorityCapable": True,
                "memoryGB": each.memory_gb, "supportedComputeTypes": ["AmlCompute", "MIR"],
            }
            for each in table("azure").machines
        ]})  # fmt: skip

    def _usages(self, asked: Asked) -> Answer:
        self._require(asked)
        return answer({"value": [self._told(*each) for each in self._limits()]})

    def _limits(self) -> Iterator[tuple[str, str, int]]:
        """Of each quota its kind, its name and how many vCPUs it lets an account have."""
        limits, machines = self._world.scenario.get("limits", {}), table("azure").machines
        most = 0 if limits.get("*") == 0 else _MANY
        for kind, name in _TOTALS.items():
            yield kind, name, most
        for name in dict.fromkeys(family(each.name) for each in machines):
            own = [_vcpus(each, limits) for each in machines if family(each.name) == name]
            yield "vmFamily", f"Standard {name} Family Cluster Dedicated vCPUs", max(own)

    def _told(self, kind: str, name: str, limit: int) -> dict[str, Any]:
        place = f"/subscriptions/{self._world.scope.subscription}/usages"
        return {
            "id": f"{place}/{name.replace(' ', '_')}",
            "type": f"{PROVIDER}/{kind}/usages", "unit": "Count", "currentValue": 0,
            "limit": limit, "name": {"value": name, "localizedValue": name},
        }  # fmt: skip

    def _require(self, asked: Asked) -> None:
        if asked.names[0].lower() != self._world.scope.region:
            words = f"The location '{asked.names[0]}' is not known to this rehearsal."
            raise Refused(400, "NoRegisteredProviderFound", words)


def family(machine: str) -> str:
    """What machines of that kind are called together: NCASv3_T4 of Standard_NC4as_T4_v3."""
    found = _SIZE.fullmatch(machine)
    if found is None:
        return machine
    chip = f"_{found['chip']}" if found["chip"] else ""
    return f"{found['series']}{found['more'].upper()}{found['version'] or ''}{chip}"


def _vcpus(machine: Machine, limits: dict[str, int]) -> int:
    """As many as the machines have that the scenario lets an account have of a type."""
    count = limits.get(machine.name, limits.get("*"))
    return _MANY if count is None else int(count * machine.cpu)
