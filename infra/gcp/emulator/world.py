"""What every part of the stand-in shares: a project, its store, its scenario, its machines."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from infra.gcp.emulator.machine import Machines
from infra.gcp.emulator.objects import Objects
from infra.gcp.emulator.refusal import Refused
from infra.rehearsal.clock import Clock
from infra.rehearsal.store import Record, Store

_PAGE = 100
_TERM = re.compile(r'\s*(NOT\s+|-)?([\w.\-]+|labels\."[^"]+")\s*(:|!=|=)\s*("[^"]*"|\S+)\s*')


class World(NamedTuple):
    """One project in one region. ``slots`` are taken by the jobs whose containers run.

    ``environment`` is laid over that of every container, as far as that has the variable.
    """

    folder: Path
    project: str
    number: str
    region: str
    accounts: frozenset[str]
    store: Store
    objects: Objects
    machines: Machines
    clock: Clock
    slots: threading.Semaphore
    scenario: Mapping[str, Any]
    environment: Mapping[str, str]

    def name(self, rest: str = "") -> str:
        """The full name of a resource, the project by its number as Vertex AI tells it."""
        return f"projects/{self.number}/locations/{self.region}/{rest}".rstrip("/")

    def check_account(self, account: str) -> None:
        """Raise Refused where Vertex AI could not act as this service account."""
        if account and account not in self.accounts:
            raise Refused("INVALID_ARGUMENT", f"Service account {account} does not exist.")

    def check_quota(self, machine: str, used: int, wanted: int) -> None:
        """Raise Refused where the scenario gives the project too few machines of a type."""
        limits: Mapping[str, int] = self.scenario.get("limits", {})
        limit = limits.get(machine, limits.get("*"))
        if limit is not None and used + wanted > limit:
            metric = f"aiplatform.googleapis.com/custom_model_training_{_family(machine)}"
            raise Refused(
                "RESOURCE_EXHAUSTED",
                f"The following quota metrics exceed quota limits: {metric}",
            )

    def hindered(self, step: str) -> int:
        """How often the scenario has kept machines from a step, whatever its jobs."""
        record = self.store.get("Hindered", step)
        return int(record["times"]) if record else 0

    def hinder(self, step: str) -> None:
        """Note that a step got no machine."""
        self.store.add("Hindered", step, step, times=self.hindered(step) + 1)

    def page(
        self, found: list[dict[str, Any]], request: Mapping[str, Any], key: str
    ) -> dict[str, Any]:
        """One page of a list, filtered as asked, newest first unless asked otherwise."""
        kept = [each for each in found if fits(each, request.get("filter", ""))]
        newest = "createTime" if not request.get("orderBy") else "create_time"
        descending = newest == "createTime" or "desc" in request["orderBy"]
        kept.sort(key=lambda each: str(each.get("createTime", "")), reverse=descending)
        token = str(request.get("pageToken") or "0")
        if not token.isdigit():
            raise Refused("INVALID_ARGUMENT", "Invalid page token")
        begin, size = int(token), min(int(request.get("pageSize") or _PAGE), _PAGE)
        more = {"nextPageToken": str(begin + size)} if begin + size < len(kept) else {}
        return {key: kept[begin : begin + size], **more}


Work = Callable[[], Any]


def moment(at: float) -> str:
    """A time as Google writes it."""
    fraction = f"{at % 1:.6f}"[1:]
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f"{fraction}Z"


def fits(item: Mapping[str, Any], text: str) -> bool:
    """Whether a resource is what a filter asks for: terms of = and !=, joined by AND.

    Raises Refused at what is not read here.
    """
    for term in re.split(r"\s+AND\s+", text) if text.strip() else ():
        found = _TERM.fullmatch(term)
        if found is None:
            raise Refused("INVALID_ARGUMENT", f"this rehearsal cannot read the filter {term!r}")
        negated, field, operator, value = found.groups()
        holds = _holds(item, field, operator, value.strip('"'))
        if holds == bool(negated):
            return False
    return True


def _holds(item: Mapping[str, Any], field: str, operator: str, value: str) -> bool:
    if field.startswith("labels."):
        there = item.get("labels", {}).get(field.removeprefix("labels.").strip('"'))
    else:
        first, *others = field.split("_")
        there = item.get(first + "".join(word.capitalize() for word in others))
    if operator == ":":
        wanted = re.escape(value).replace(r"\*", ".*")
        return there is not None and re.fullmatch(wanted, str(there)) is not None
    return (str(there) == value) == (operator == "=")


def _family(machine: str) -> str:
    return f"{machine.partition('-')[0]}_cpus"


__all__ = ["Record", "Work", "World", "fits", "moment"]
