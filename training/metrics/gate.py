"""The gate: may this model go on? Limits, and never worse than the champion; always with reasons.

A gate is ``{"bits_per_dim": {"max": 2.4}, "active_units": {"min": 1}}``. A limit may also name an
anchor, ``{"fd": {"max": "pixels"}}``: its value on the data at hand, whatever data that is.
``{"champion": false}`` leaves the champion out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from training.errors import InputError, nearest
from training.metrics import ANCHORS, METRICS, Gate, Limit, Values

Overlay = Mapping[str, Limit | None]
"""Limits as a person gives them: null takes a metric's away."""

_BOUNDS = ("min", "max")
_CHAMPION = "champion"


class Asked(NamedTuple):
    """A gate as a person gives it; without ``champion`` a model is not compared with it."""

    limits: Overlay
    champion: bool = True


@dataclass(frozen=True)
class Reason:
    """One number held against another, and what came of it, as a sentence."""

    rule: str
    value: float | None
    limit: float | None
    passed: bool
    why: str


def parse(text: str) -> Asked:
    """Read a gate from JSON. Raises InputError at what is no gate."""
    try:
        gate = json.loads(text)
    except ValueError as error:
        raise InputError(f"the gate is not JSON: {error}") from None
    if not isinstance(gate, dict):
        raise InputError(f'the gate is {text}, not an object like {{"fd": {{"max": 2.0}}}}')
    champion = gate.pop(_CHAMPION, True)
    if not isinstance(champion, bool):
        raise InputError(f"the gate's champion is {json.dumps(champion)}, neither true nor false")
    for metric, limit in gate.items():
        if metric not in METRICS:
            near = nearest(metric, [*METRICS, _CHAMPION])
            raise InputError(f"the gate names {metric!r}, which is no metric; {near}")
        if limit is not None:
            _check(metric, limit)
    return Asked(gate, champion)


def merged(*gates: Overlay) -> Gate:
    """Lay gates over each other, bound by bound; null takes a metric's limits away."""
    result: dict[str, Limit] = {}
    for gate in gates:
        for metric, limit in gate.items():
            if limit is None:
                result.pop(metric, None)
            else:
                result[metric] = {**result.get(metric, {}), **limit}
    return result


def decide(gate: Gate, values: Values, anchors: Mapping[str, Values]) -> list[Reason]:
    """Hold ``values`` against the gate. Raises InputError where a limit cannot be looked up."""
    reasons = []
    for metric, limit in sorted(gate.items()):
        if metric not in values:
            raise InputError(
                f"the gate limits {metric}, which is not measured here"
                f"; measured are {', '.join(sorted(values))}"
            )
        for bound, asked in sorted(limit.items()):
            reasons.append(_hold(metric, values[metric], bound, asked, anchors))
    return reasons


def unmeasured(metric: str) -> Reason:
    """A limit that the data brings along and cannot be held to: there is nothing to compare."""
    return Reason(metric, None, None, True, f"{metric} cannot be measured on this data")


def compare(values: Values, champion: Values, name: str) -> list[Reason]:
    """Hold a challenger against the champion, both measured on the same held-out data.

    It may be worse by as much as chance moves the number between two trainings of one recipe
    (``Metric.tolerance``), not by more.
    """
    reasons = []
    for metric, about in METRICS.items():
        if about.tolerance is None or metric not in values or metric not in champion:
            continue
        mine, theirs = values[metric], champion[metric]
        rule = f"{metric} champion"
        if not math.isfinite(theirs):
            why = f"{metric} of {name} is not a finite number, and any is better"
            reasons.append(Reason(rule, _number(mine), None, math.isfinite(mine), why))
            continue
        allowed = about.tolerance * abs(theirs)
        limit = theirs + allowed if about.better == "lower" else theirs - allowed
        ok = mine <= limit if about.better == "lower" else mine >= limit  # false for NaN
        verdict = f"{'not ' * ok}worse than {name}'s {theirs:.4g} (tolerance {allowed:.2g})"
        reasons.append(Reason(rule, _number(mine), limit, ok, f"{metric} {mine:.4g} is {verdict}"))
    return reasons


def _hold(
    metric: str, value: float, bound: str, asked: float | str, anchors: Mapping[str, Values]
) -> Reason:
    if isinstance(asked, str):
        known = [name for name, numbers in anchors.items() if metric in numbers]
        if asked not in known:
            raise InputError(
                f"the gate's {bound} of {metric} is the anchor {asked!r}"
                f", which has none; {nearest(asked, known)}"
            )
        limit, of = anchors[asked][metric], f" of {asked}"
    else:
        limit, of = asked, ""
    rule = f"{metric} {bound}"
    if not math.isfinite(value):
        return Reason(rule, None, limit, False, f"{metric} is not a finite number")
    if bound == "max":
        ok, words = value <= limit, ("above the limit", "at most")
    else:
        ok, words = value >= limit, ("below the limit", "at least")
    why = f"{metric} {value:.4g} is {words[ok]} {limit:.4g}{of}"
    return Reason(rule, value, limit, ok, why)


def _check(metric: str, limit: Any) -> None:
    if not isinstance(limit, dict) or not limit:
        raise InputError(f"the gate's {metric} is {limit!r}, not an object with min or max")
    for bound, asked in limit.items():
        if bound not in _BOUNDS:
            raise InputError(f"the gate's {metric} has {bound!r}; {nearest(bound, _BOUNDS)}")
        if isinstance(asked, str) and asked not in ANCHORS:
            raise InputError(
                f"the gate's {bound} of {metric} is {asked!r}, which is no anchor; "
                f"{nearest(asked, ANCHORS)}"
            )
        number = isinstance(asked, int | float) and not isinstance(asked, bool)
        if not isinstance(asked, str) and not (number and math.isfinite(asked)):
            raise InputError(
                f"the gate's {bound} of {metric} is {json.dumps(asked)}"
                ", neither a number nor the name of an anchor"
            )


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
