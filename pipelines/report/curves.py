"""Line charts of a training history, one for each quantity."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pipelines.report import words
from pipelines.report.markup import Markup, tag
from pipelines.report.series import Chart, Line, Point

_WIDTH, _HEIGHT = 340.0, 190.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 18.0, 8.0, 36.0
_POINTS = 240
"""Points drawn of one line: more cannot be told apart at this size."""
_SMALLEST = 1e-100
"""Numbers nearer to each other than this are drawn as one."""
_ORDER = ("train", "", "validation", "held out", "test")


def curves(found: Sequence[Chart]) -> Markup:
    """The charts, side by side as there is room."""
    return tag("div", [_chart(chart) for chart in found], class_="charts")


def _chart(chart: Chart) -> Markup:
    lines = sorted(chart.lines, key=lambda line: _ORDER.index(line.label))
    title = words.title(chart.quantity)
    legend = [
        tag(
            "li",
            tag("i", class_=_class(line)),
            f"{line.label or 'value'} ",
            tag("b", words.number(_last(line))),
        )
        for line in lines
    ]
    if chart.best is not None:
        best = f"kept: {chart.across} {words.number(chart.best)}"
        legend.append(tag("li", tag("i", class_="best"), best))
    return tag(
        "figure",
        tag("figcaption", tag("b", title), tag("ul", legend)),
        _drawing(chart, lines, title),
        class_="chart",
    )


def _drawing(chart: Chart, lines: Sequence[Line], title: str) -> Markup:
    points = [point for line in lines for point in line.points if math.isfinite(point[1])]
    x_low, x_high = min(x for x, _ in points), max(x for x, _ in points)
    x_high = max(x_high, x_low + 1e-9 * max(abs(x_low), 1.0))
    y_low, y_high = _range(points)
    wide, high = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def x_of(x: float) -> float:
        return (x - x_low) / (x_high - x_low) * wide

    def y_of(y: float) -> float:
        return high - (y - y_low) / (y_high - y_low) * high

    grid: list[Markup] = []
    for y in _ticks(y_low, y_high, 4):
        at = _TOP + y_of(y)
        grid.append(tag("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=at, y2=at, class_="grid"))
        label = words.number(y)
        grid.append(tag("text", label, x=_LEFT - 7, y=at + 3.6, class_="left"))
    for x in _ticks(x_low, x_high, 4):
        label = words.number(int(x) if x == int(x) else x)
        grid.append(tag("text", label, x=_LEFT + x_of(x), y=_HEIGHT - _BOTTOM + 16, class_="below"))
    across = words.title(chart.across)
    middle = _LEFT + wide / 2
    grid.append(tag("text", across, x=middle, y=_HEIGHT - 4, class_="below axis-name"))
    inside = [tag("path", d=_path(line, x_of, y_of), class_=_class(line)) for line in lines]
    if chart.best is not None and x_low <= chart.best <= x_high:
        at = x_of(chart.best)
        inside.insert(0, tag("line", x1=at, x2=at, y1=0, y2=high, class_="best"))
    area = tag("svg", inside, x=_LEFT, y=_TOP, width=wide, height=high)  # it clips what runs out
    name = f"{title} over {chart.across}"
    return tag(
        "svg", tag("title", name), grid, area,
        viewBox=f"0 0 {_WIDTH:.0f} {_HEIGHT:.0f}", role="img", aria_label=name,
    )  # fmt: skip


def _path(line: Line, x_of, y_of) -> str:  # type: ignore[no-untyped-def]
    path, down = [], False
    for x, y in _thinned(line.points):
        if math.isfinite(y):
            path.append(f"{'L' if down else 'M'}{x_of(x):.1f},{y_of(y):.1f}")
        down = math.isfinite(y)
    return "".join(path)


def _thinned(points: Sequence[Point]) -> list[Point]:
    """Every so-and-so-many-th point, and always the last."""
    every = -(-len(points) // _POINTS)
    return [*points[:-1:every], points[-1]]


def _range(points: Sequence[Point]) -> tuple[float, float]:
    """The values to show: first ones far above all others run out of the picture."""
    found = sorted(y for _, y in points)
    low, high = found[0], found[-1]
    usual = found[min(len(found) - 1, int(0.97 * len(found)))]
    if len(found) > 20 and high > usual + (usual - low) > low:
        high = usual + 0.25 * (usual - low)
    if high - low <= max(1e-12 * max(abs(high), abs(low)), _SMALLEST):
        room = abs(low) * 0.1 or 1.0
        return low - room, high + room
    return low - 0.04 * (high - low), high + 0.04 * (high - low)


def _ticks(low: float, high: float, about: int) -> list[float]:
    """Round numbers between the two."""
    power = 10.0 ** math.floor(math.log10((high - low) / about))
    step = next(power * n for n in (1, 2, 5, 10) if (high - low) / (power * n) <= about + 0.5)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [float(f"{i * step:.12g}") for i in range(first, last + 1)]


def _last(line: Line) -> float:
    return next((y for _, y in reversed(line.points) if math.isfinite(y)), math.nan)


def _class(line: Line) -> str:
    return f"line {line.label.replace(' ', '-') or 'train'}"
