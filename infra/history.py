"""What a place remembers of a run: the plan, and each event with its time and what it used."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from infra import plan as nouns
from infra.plan import Event, Json, Plan

_NOUNS: dict[str, Any] = {
    noun.__name__: noun
    for noun in (
        nouns.Token, nouns.Constant, nouns.Secret, nouns.Parameter, nouns.Output, nouns.FirstOf,
        nouns.Collected, nouns.Imported, nouns.Template, nouns.FinalStatus, nouns.Compare,
        nouns.Not, nouns.All, nouns.Resources, nouns.Retry, nouns.Step, nouns.Plan,
    )
}  # fmt: skip
_AS_IT_IS = {
    ("Constant", "value"),
    ("Secret", "value"),
    ("Imported", "metadata"),
    ("Plan", "parameters"),
    ("Plan", "source"),
    ("Step", "env"),
    ("Step", "platforms"),
}
"""Fields that hold the person's own data, in which nothing is a noun whatever it looks like."""


class Moment(NamedTuple):
    """An event, when it was (seconds since the epoch) and what the attempt that ended used.

    None where the place does not tell. ``commit`` is that of the code a starting step ran.
    """

    event: Event
    at: float | None = None
    cpu_seconds: float | None = None
    peak_mb: float | None = None
    commit: str = ""


class History(NamedTuple):
    """A run from its start. ``plan`` is None where the place has not kept it."""

    plan: Plan | None
    moments: tuple[Moment, ...]


def moment(line: dict[str, Json]) -> Moment:
    """Read an event as it was recorded. Raises KeyError where a field is missing."""
    line = {"error": "", **line}  # those of older versions have none
    event = Event(**{name: line[name] for name in Event._fields})  # type: ignore[arg-type]
    at, used, peak = (_number(line.get(name)) for name in ("at", "cpu_seconds", "peak_mb"))
    return Moment(event, at, used, peak, str(line.get("commit") or ""))


def read_plan(data: Json) -> Plan:
    """Turn what ``to_data`` made of a plan into that plan again. Raises ValueError."""
    try:
        plan = _noun(data)
    except TypeError as error:
        raise ValueError(f"this is not a plan: {error}") from None
    if not isinstance(plan, Plan) or not all(isinstance(step, nouns.Step) for step in plan.steps):
        raise ValueError("this is not a plan")
    return plan


def commits(moments: Iterable[Moment]) -> list[str]:
    """The commits of the code that the steps ran, each once, oldest first."""
    return list(dict.fromkeys(moment.commit for moment in moments if moment.commit))


def _noun(data: Json) -> Any:
    if isinstance(data, list):
        return tuple(_noun(item) for item in data)
    if not isinstance(data, dict):
        return data
    kind = data.get("is")
    if not isinstance(kind, str) or kind not in _NOUNS:
        return {name: _noun(value) for name, value in data.items()}
    fields = {
        name: value if (kind, name) in _AS_IT_IS else _noun(value)
        for name, value in data.items()
        if name != "is"
    }
    return _NOUNS[kind](**fields)


def _number(value: Json) -> float | None:
    return float(value) if isinstance(value, int | float) else None
