"""When each step ran: a table with a bar in every row, on one axis of time.

A run that was interrupted and finished later has several sittings; the time between them is cut
out of the axis.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from infra.history import Moment
from infra.plan import FINAL, State
from pipelines.report import words
from pipelines.report.facts import Facts, StepFacts
from pipelines.report.marks import badge
from pipelines.report.markup import Markup, tag

_BREAK = 4.0
"""Width of a cut in the axis, in per cent of it."""
_THINNEST = 0.35


class Bar(NamedTuple):
    """A step between two times. ``last`` is how many seconds of it the last attempt took."""

    step: str
    state: State
    start: float
    end: float
    attempt: int = 1
    last: float = 0.0


class Sitting(NamedTuple):
    """The run from one start of its process to that process's end."""

    start: float
    end: float
    bars: tuple[Bar, ...]

    @property
    def seconds(self) -> float:
        """How long it took; never nothing."""
        return max(self.end - self.start, 1e-3)


def sittings(moments: Iterable[Moment], now: float | None) -> list[Sitting]:
    """Read the sittings from the events; none where the place does not tell times.

    ``now`` is the time where the run goes on; None where its last process is gone.
    """
    found: list[Sitting] = []
    begun: dict[str, float] = {}
    bars: list[Bar] = []
    start = end = None
    for moment in moments:
        event, at = moment.event, moment.at
        if at is None:
            return []
        if start is None or (not event.step and event.state == "running"):
            if start is not None and end is not None and end >= start:
                found.append(_sitting(start, end, bars, begun, "cancelled"))
            start, end, bars, begun = at, at, [], {}
        end = max(at, start)
        if not event.step:
            if event.state in FINAL:
                found.append(_sitting(start, end, bars, begun, "cancelled"))
                start = None
        elif event.state in FINAL:
            first = begun.pop(event.step, at)
            bars.append(
                Bar(event.step, event.state, first, max(end, first), event.attempt, event.seconds)
            )
        else:
            begun.setdefault(event.step, at)  # a retry goes on from where the first attempt began
    if start is not None and end is not None:
        state: State = "cancelled" if now is None else "running"
        found.append(_sitting(start, max(end, now or end), bars, begun, state))
    return found


def timeline(facts: Facts, found: Sequence[Sitting]) -> Markup:
    """The table. Without times there are no bars, only durations."""
    axis = _Axis(found)
    head = tag(
        "tr",
        tag("th", "Step", scope="col"),
        tag("th", axis.ticks(), scope="col", class_="track") if found else None,
        tag("th", "Time", scope="col", class_="figure"),
        tag("th", "CPU", scope="col", class_="figure"),
        tag("th", "Peak memory", scope="col", class_="figure"),
    )
    bars = [(i, bar) for i, sitting in enumerate(found) for bar in sitting.bars]
    rows = [_row(step, [b for b in bars if b[1].step == step.name], axis) for step in facts.steps]
    style = f"--tick:{axis.share:.4f}%" if axis.share else None
    return tag(
        "div",
        tag("table", tag("thead", head), tag("tbody", rows), class_="timeline", style=style),
        class_="scroll",
    )


def _row(step: StepFacts, bars: list[tuple[int, Bar]], axis: _Axis) -> Markup:
    seconds = words.duration(step.event.seconds) if step.event.seconds else ""
    tries = f"{step.event.attempt} attempts" if step.event.attempt > 1 else None
    said = step.event.message.splitlines()[0] if step.event.message else ""
    name = [tag("span", step.name, class_="step-name"), badge(step.state)]
    return tag(
        "tr",
        tag(
            "th",
            tag("span", name, class_="step-head"),
            tag("small", said) if said else None,
            scope="row",
        ),
        tag("td", [axis.bar(*each) for each in bars], class_="track") if axis.total else None,
        _figure("Time", [seconds, tag("small", tries) if tries else None], bool(seconds)),
        _figure("CPU", _cpu(step), step.cpu_seconds is not None),
        _figure("Peak memory", _memory(step), step.peak_mb is not None),
    )


def _figure(label: str, content: object, known: bool) -> Markup:
    shown = content if known else tag("span", "–", class_="none")
    return tag("td", shown, class_="figure", data_label=label)  # type: ignore[arg-type]


def _cpu(step: StepFacts) -> list[Markup | str] | None:
    if step.cpu_seconds is None:
        return None
    cores = step.cpu_seconds / step.event.seconds if step.event.seconds > 0.05 else 0
    small = tag("small", f"{cores:.1f} cores") if cores >= 0.05 else ""
    return [words.duration(step.cpu_seconds), small]


def _memory(step: StepFacts) -> str:
    return "" if step.peak_mb is None else words.size(step.peak_mb * 1024 * 1024)


class _Axis:
    """Time -> per cent of the width, over all sittings."""

    def __init__(self, found: Sequence[Sitting]) -> None:
        self._found = found
        self.total = sum(sitting.seconds for sitting in found)
        self._room = 100 - _BREAK * max(0, len(found) - 1)
        self.every = _every(self.total) if found else 0.0
        self.share = 100 * self.every / self.total if len(found) == 1 else 0.0

    def at(self, sitting: int, time: float) -> float:
        """Place of a time of a sitting, in per cent."""
        before = sum(each.seconds for each in self._found[:sitting])
        inside = min(max(time - self._found[sitting].start, 0), self._found[sitting].seconds)
        return self._room * (before + inside) / self.total + _BREAK * sitting

    def ticks(self) -> list[Markup]:
        """Labels of the axis; where it is cut, what lies between."""
        marks = []
        count = int(self.total / self.every + 1e-9) if self.every else 0
        if len(self._found) == 1:
            marks = [
                _tick(100 * i * self.every / self.total, _axis_label(i * self.every, self.every))
                for i in range(count + 1)
                if i == 0 or i * self.every <= 0.97 * self.total
            ]
        for i, (one, next_) in enumerate(zip(self._found, self._found[1:], strict=False)):
            label = f"{words.duration(max(next_.start - one.end, 0))} later"
            marks.append(_tick(self.at(i + 1, next_.start), label))
        return [tag("span", marks, class_="axis"), tag("span", "Timeline", class_="for-readers")]

    def bar(self, sitting: int, bar: Bar) -> Markup:
        """One bar. An earlier attempt is paler than the last; what took no time is a diamond."""
        left, right = self.at(sitting, bar.start), self.at(sitting, bar.end)
        offset = bar.start - self._found[0].start
        title = f"{bar.step} {bar.state}, from {words.duration(offset) or '0 s'}"
        if bar.end <= bar.start:
            inside = f"left:clamp(5px,{left:.3f}%,100% - 6px)"
            return tag(
                "span", class_=f"point {bar.state}", style=inside,
                title=title, role="img", aria_label=title,
            )  # fmt: skip
        title += f", {words.duration(bar.end - bar.start)}"
        pale = None
        earlier = (bar.end - bar.start) - bar.last
        if bar.attempt > 1 and bar.last and earlier > 0:
            share = 100 * earlier / (bar.end - bar.start)
            title += f"; before the last attempt {words.duration(earlier)}"
            pale = tag("span", class_="earlier", style=f"width:{share:.2f}%")
        width = max(right - left, _THINNEST)
        left = min(left, 100 - width)
        return tag(
            "span", pale, class_=f"bar {bar.state}", style=f"left:{left:.3f}%;width:{width:.3f}%",
            title=title, role="img", aria_label=title,
        )  # fmt: skip


def _sitting(
    start: float, end: float, bars: list[Bar], begun: dict[str, float], state: State
) -> Sitting:
    """Close a sitting; what still ran then ends with it."""
    cut = [Bar(step, state, since, max(end, since)) for step, since in begun.items()]
    return Sitting(start, end, (*bars, *cut))


def _tick(left: float, label: str) -> Markup:
    return tag("span", label, style=f"left:{left:.3f}%")


def _axis_label(seconds: float, every: float) -> str:
    if seconds == 0:
        return "0"
    if every < 0.1:
        return f"{1000 * seconds:.3g} ms"
    if every < 15 or seconds < 60 > every:
        return f"{seconds:.{int(every < 1)}f} s"
    if every < 60:
        return f"{int(seconds // 60)}:{int(seconds % 60):02d}"
    if every < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h"


def _every(total: float) -> float:
    """Seconds between labels, so that there are four to eight."""
    for step in (15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400):
        if total > 50 and total / step <= 8:
            return float(step)
    power = 10.0 ** math.floor(math.log10(total))
    return next(power * n for n in (0.1, 0.2, 0.5, 1, 2, 5, 10) if total / (power * n) <= 6)
