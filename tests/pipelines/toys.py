"""Two clouds that are toys: what they ask for a machine, and how their runs end, a test says."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from infra import machines
from infra import provider as providers
from infra.errors import InputError, SettingsError
from infra.history import History, Moment
from infra.plan import Event, Plan, Request, RunRef, Status
from infra.prices import Use, ceiling
from infra.provider import Provider

TABLE = """
[{name}]
region = "somewhere"
date = "2026-11"
source = "https://example.com/prices"
machines = [{{name = "{name}-1", cpu = 2, memory = 8, usd = {usd}}}, {{name = "{name}-odd", cpu = 2, memory = 8}}]
"""  # noqa: E501


class ToySettings(NamedTuple):
    """Settings of a toy."""

    workspace: str = ".trefoil"
    tracking_uri: str = "none"
    experiment: str = "toys"
    region: str = "somewhere"
    bucket: str = ""
    machine: str = ""
    prices: Mapping[str, float] = {}


class Toy:
    """A cloud. ``refuses`` is raised by submit, ``ends`` are the events of a run."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sent: list[Request] = []
        self.reaped: list[str] = []
        self.refuses: Exception | None = None
        self.lost: Exception | None = None
        self.known: list[RunRef] = []  # each that submit was asked for
        self.ends: list[Event] = [Event("", "succeeded")]
        self.at = 0.0  # when that was

    def modules(self) -> Iterator[ModuleType]:
        """As ``infra`` would find them."""
        for part in ("", ".lower", ".costs", ".client", ".endpoint"):
            module = ModuleType(f"infra.{self.name}{part}")
            module.__dict__.update(self._of(part))
            yield module

    def _of(self, part: str) -> dict[str, Any]:
        if part == ".lower":
            nothing: dict[str, Any] = {"environment": lambda _: {}, "ground": lambda _: {}}
            return {"lower": self._lower, "price": self._price, **nothing}
        if part == ".endpoint":
            return {"check": lambda **_: None}
        if part == ".costs":
            return {"uses": self._uses}
        if part == ".client":
            return {
                "submit": self._submit, "follow": lambda *_: iter(self.ends), "reap": self._reap,
                "status": lambda run, _: self._status(run),
                "outputs": lambda *_: {}, "list_runs": lambda _: self.known,
                "history": self._history,
            }  # fmt: skip
        return {"PROVIDER": Provider(self.name, "a toy", ToySettings, {"multi-node": "a toy"})}

    def _lower(self, plan: Plan, settings: ToySettings, run_id: str) -> Request:
        if not settings.bucket:
            raise SettingsError(f"{self.name} needs the setting bucket")
        return Request(self.name, run_id, plan, {"bucket": settings.bucket})

    def _price(self, plan: Plan, settings: ToySettings) -> float:
        return ceiling(self.name, self._uses(plan, settings).values(), settings.prices)

    def _uses(self, plan: Plan, settings: ToySettings) -> dict[str, Use]:
        machine = settings.machine or f"{self.name}-1"
        return {step.name: Use(machine, 3600.0) for step in plan.steps}

    def _submit(self, request: Request, *_: Any) -> RunRef:
        self.known.append(RunRef(self.name, request.run_id))
        if self.refuses:
            raise self.refuses
        self.sent.append(request)
        return RunRef(self.name, request.run_id)

    def _reap(self, run: RunRef, _settings: Any, *, data: bool) -> list[str]:
        if self.lost:
            raise self.lost
        if data:
            raise InputError("nobody asked for that")
        self.reaped.append(run.run_id)
        return []

    def _status(self, run: RunRef) -> Status:
        return Status(run, self._ends(run)[-1].state, self._steps())

    def _history(self, run: RunRef, _settings: Any) -> History:
        plan = next((each.plan for each in self.sent if each.run_id == run.run_id), None)
        return History(plan, tuple(Moment(event, self.at) for event in self._ends(run)))

    def _ends(self, run: RunRef) -> list[Event]:
        """The events of a run; one that was refused, and so reaped, never began."""
        began = any(each.run_id == run.run_id for each in self.sent)
        return self.ends if began else [Event("", "cancelled")]

    def _steps(self) -> dict[str, Event]:
        return {event.step: event for event in self.ends if event.step}


class Toys(NamedTuple):
    """``dear`` asks twice as much as ``cheap``."""

    cheap: Toy
    dear: Toy


def two(monkeypatch: pytest.MonkeyPatch, table: Any) -> Toys:
    """Let there be two toys beside the local place; ``table`` is a file for their prices."""
    toys = Toys(Toy("cheap"), Toy("dear"))
    table.write_text("".join(TABLE.format(name=n, usd=u) for n, u in (("cheap", 1), ("dear", 2))))
    for toy in toys:
        for module in toy.modules():
            monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(providers, "names", lambda: ["cheap", "dear", "local"])
    monkeypatch.setattr(machines, "TABLE", table)
    return toys
