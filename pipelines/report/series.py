"""A training history as lines to draw, in whichever of the usual shapes it was written.

A list of rows, an object of columns, or either of these under names such as ``train`` and
``validation``. ``train_loss`` and ``validation_loss`` become two lines of one chart, Loss.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

_ACROSS = ("step", "steps", "iteration", "epoch", "epochs", "examples", "seconds", "time")
"""Columns that others are drawn over, the likeliest first."""
_SIDE = {
    "train": "train", "training": "train", "validation": "validation", "valid": "validation",
    "val": "validation", "eval": "validation", "held_out": "held out", "test": "test",
}  # fmt: skip
_PREFIX = re.compile(rf"^({'|'.join(_SIDE)})[_/. -](.+)$")
_SUFFIX = re.compile(rf"^(.+)[_/. -]({'|'.join(_SIDE)})$")
_LARGEST = 1e100
"""No chart shows more: a sum of such numbers must still be one."""
_BEST = ("best_step", "best_epoch", "best")

Point = tuple[float, float]


class Line(NamedTuple):
    """One line; a point whose second number is not finite is a gap."""

    label: str
    points: list[Point]


class Chart(NamedTuple):
    """Lines of one quantity over one axis. ``best`` is where the kept weights come from."""

    quantity: str
    across: str
    lines: list[Line]
    best: float | None = None


def charts(history: Any) -> list[Chart]:
    """Read a history; what is not understood is left out, and a line needs two points."""
    found: dict[tuple[str, str], dict[str, list[Point]]] = {}
    best: float | None = None
    for part, name, value in _columns(history, ""):
        if name in _BEST and isinstance(value, int | float):
            best = _float(value)
        elif isinstance(value, tuple):
            across, points = value
            side, quantity = _split(part, name)
            found.setdefault((quantity, across), {}).setdefault(side, []).extend(points)
    made = []
    for (quantity, across), sides in found.items():
        drawn = [Line(side, points) for side, points in sides.items() if _drawable(points)]
        if drawn:
            made.append(Chart(quantity, across, drawn, best))
    return made


def _columns(data: Any, side: str, depth: int = 0) -> Iterator[tuple[str, str, Any]]:
    """Yield (side, name, (axis, points)) for each column, and single numbers as they are."""
    if depth > 4:
        return
    if isinstance(data, list):
        rows = [row for row in data if isinstance(row, dict)]
        yield from _rows(rows, side)
    elif isinstance(data, dict):
        across = _axis(data, lambda column: isinstance(column, list))
        for name, value in data.items():
            if isinstance(value, list) and value and all(map(_is_number, value)):
                if name != across:
                    x = data[across] if across else list(range(len(value)))
                    yield side, name, (across or "step", _points(x, value))
            elif isinstance(value, dict | list):
                yield from _columns(value, _SIDE.get(str(name), side), depth + 1)
            elif _is_number(value):
                yield side, str(name), value


def _rows(rows: list[dict[str, Any]], side: str) -> Iterator[tuple[str, str, Any]]:
    flat = [dict(_flattened(row)) for row in rows]
    across = _axis(flat[0], _is_number) if flat else ""
    for name in dict.fromkeys(name for row in flat for name in row):
        if name == across:
            continue
        pairs = [
            (row[across] if across else i, row[name])
            for i, row in enumerate(flat)
            if name in row and _is_number(row[name])
            if not across or (across in row and _is_number(row[across]))
        ]
        if pairs:
            yield side, name, (across or "step", _points(*zip(*pairs, strict=True)))


def _flattened(row: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        if isinstance(value, dict) and not before:
            yield from _flattened(value, f"{name}_")
        else:
            yield f"{before}{name}", value


def _axis(columns: dict[str, Any], fits: Any) -> str:
    return next((name for name in _ACROSS if name in columns and fits(columns[name])), "")


def _points(x: Any, y: Any) -> list[Point]:
    pairs = zip(x, y, strict=False)
    return sorted((_float(a), _float(b)) for a, b in pairs if math.isfinite(_float(a)))


def _split(side: str, name: str) -> tuple[str, str]:
    """Of ``val_loss`` make validation and loss; a name that says no side keeps the one given."""
    if match := _PREFIX.match(name):
        return _SIDE[match[1]], match[2]
    if match := _SUFFIX.match(name):
        return _SIDE[match[2]], match[1]
    return side, name


def _drawable(points: list[Point]) -> bool:
    return len({x for x, y in points if math.isfinite(y)}) > 1


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _float(value: Any) -> float:
    try:
        number = float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:
        return math.nan
    return number if abs(number) < _LARGEST else math.nan
