"""The steps as a drawing: layers by dependency, drawn across where there is room, else down."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from infra.plan import DONE, imports_of
from pipelines import conditions
from pipelines.report import words
from pipelines.report.facts import StepFacts
from pipelines.report.folded import folded
from pipelines.report.layers import arrange, spread
from pipelines.report.marks import mark
from pipelines.report.markup import Markup, tag

_ROOM = 1040.0
"""Width of the page's column."""
_HEIGHT, _NARROWEST, _WIDEST = 54.0, 122.0, 168.0
_BEND, _MARGIN, _BETWEEN = 12.0, 10.0, 26.0
_PULL = 0.08
"""How strongly a drawing that is too wide is drawn together."""
_STATE = 31.0
"""Where in a box the word for its state begins."""
_LETTER, _LETTER_OF_STATE, _SMALL_LETTER = 7.3, 6.3, 5.9
"""About the width of a letter, to leave out or cut what is too long."""


class _Place(NamedTuple):
    """Where a step, or a bend of an arrow that passes a layer, lies: along the layers, across."""

    along: float
    across: float


def graph(steps: Sequence[StepFacts]) -> Markup:
    """The drawing; where it is wide, a second, narrow one that the style sheet shows instead."""
    steps = folded(steps)
    layers, links = arrange({step.name: step.needs for step in steps})
    count = len(layers)
    width = min(_WIDEST, (_ROOM - 2 * _MARGIN - (count - 1) * _BETWEEN) / count)
    down = _Drawing(steps, layers, links, down=True)
    if down.size[0] > _ROOM:
        down = _Drawing(steps, layers, links, down=True, width=_NARROWEST, centre=_PULL)
    if width < _NARROWEST:
        return tag("div", down.svg(), class_="graph")
    across = _Drawing(steps, layers, links, down=False, width=width)
    if count == 1 or across.size[0] <= down.size[0]:
        return tag("div", across.svg(), class_="graph")
    return tag(
        "div",
        tag("div", across.svg(), class_="graph wide"),
        tag("div", down.svg(), class_="graph narrow"),
    )


class _Drawing:
    """One way to draw it. ``along`` runs with the layers, ``across`` within one."""

    def __init__(
        self,
        steps: Sequence[StepFacts],
        layers: list[list[str]],
        links: list[list[str]],
        down: bool,
        width: float = 150.0,
        centre: float = 1e-3,
    ) -> None:
        self._steps = {step.name: step for step in steps}
        self._links, self._down, self._width = links, down, width
        breadth, length = (width, _HEIGHT) if down else (_HEIGHT, width)
        self._breadth, self._length = breadth, length
        pitch = length + (34 if down else _BETWEEN)
        places = spread(layers, links, self._share, 18.0 if down else 22.0, centre)
        least = min((at - self._share(n) / 2 for n, at in places.items()), default=0)
        most = max((at + self._share(n) / 2 for n, at in places.items()), default=0)
        self._places = {
            name: _Place(_MARGIN + i * pitch, places[name] - least + _MARGIN)
            for i, layer in enumerate(layers)
            for name in layer
        }
        along = len(layers) * pitch - (pitch - length) + 2 * _MARGIN
        across = most - least + 2 * _MARGIN
        self.size = (across, along) if down else (along, across)

    def _share(self, name: str) -> float:
        return self._breadth if name in self._steps else _BEND

    def svg(self) -> Markup:
        """The drawing at its own size; what is around it scrolls."""
        width, height = self.size
        name = f"Graph of {len(self._steps)} steps"
        return tag(
            "svg",
            tag("title", name),
            [self._arrow(link) for link in self._links],
            [self._box(step) for step in self._steps.values()],
            viewBox=f"0 0 {width:.0f} {height:.0f}",
            width=f"{width:.0f}",
            height=f"{height:.0f}",
            role="img",
            aria_label=name,
        )

    def _box(self, step: StepFacts) -> Markup:
        x, y = self._corner(step.name)
        width = self._width
        took = words.duration(step.event.seconds) if step.event.seconds else ""
        said = [step.name, f"{step.state} {took}", step.event.message]
        fits = _STATE + _LETTER_OF_STATE * (len(step.state) + len(took) + 1) + 9 <= width
        gated = step.step is not None and step.step.when is not None
        tab: list[Markup] = []
        if step.step and step.step.when is not None:
            condition = f"if {conditions.words(step.step.when)}"
            said.append(f"runs only {condition}")
            tab = [self._tab(condition, x, y, "held" if step.state in DONE else "")]
        elif step.step and step.step.always:
            tab = [self._tab("always", x, y, "")]
        for found in imports_of(step.step) if step.step else ():
            uri = conditions.source(found.uri)
            said.append(f"imports {uri}")
            tab = tab or [self._tab(f"imports {uri.rpartition('/')[2]}", x, y, "")]
        return tag(
            "g",
            tag("title", "\n".join(part for part in said if part)),
            tag("rect", x=x, y=y, width=width, height=_HEIGHT, rx=9, class_="box"),
            tag("rect", x=x, y=y + 12, width=4, height=_HEIGHT - 24, rx=2, class_="edge"),
            tag("text", _cut(step.name, (width - 26) / _LETTER), x=x + 15, y=y + 24, class_="name"),
            mark(step.state, x + 14, y + 32),
            tag("text", step.state, x=x + _STATE, y=y + 42, class_="state") if fits else None,
            tag("text", took, x=x + width - 9, y=y + 42, class_="took") if took else None,
            tab,
            class_=f"node {step.state}" + (" gated" if gated else ""),
        )

    def _tab(self, label: str, x: float, y: float, kind: str) -> Markup:
        """A label on the upper edge of a box: what it waits for."""
        shown = _cut(label, (self._width - 26) / _SMALL_LETTER)
        width = len(shown) * _SMALL_LETTER + 14
        right = x + self._width - 8 - width
        return tag(
            "g",
            tag("rect", x=right, y=y - 9, width=width, height=17, rx=8.5, class_="tab"),
            tag("text", shown, x=right + width / 2, y=y + 3.4, class_="tab-text"),
            class_=f"when {kind}".rstrip(),
        )

    def _arrow(self, link: list[str]) -> Markup:
        start, end = self._places[link[0]], self._places[link[-1]]
        points = [(start.along + self._length, start.across)]
        for name in link[1:-1]:  # straight through the layer, then on to the next
            along, across = self._places[name]
            points += [(along, across), (along + self._length, across)]
        points.append((end.along - 6, end.across))
        path = f"M{self._point(*points[0])}"
        for i in range(0, len(points) - 1, 2):
            (a, b), (c, d) = points[i], points[i + 1]
            middle = (a + c) / 2
            curve = (self._point(middle, b), self._point(middle, d), self._point(c, d))
            path += f"C{' '.join(curve)}"
            if i + 2 < len(points):
                path += f"L{self._point(*points[i + 2])}"
        along, across = points[-1]
        head = [(along, across - 3.6), (along + 6, across), (along, across + 3.6)]
        tip = " ".join(self._point(*point) for point in head)
        live = self._steps[link[-1]].state in (*DONE, "running", "failed")
        return tag(
            "g",
            tag("path", d=path, class_="line"),
            tag("polygon", points=tip, class_="tip"),
            class_="arrow" if live else "arrow idle",
        )

    def _corner(self, name: str) -> tuple[float, float]:
        along, across = self._places[name]
        across -= self._breadth / 2
        return (across, along) if self._down else (along, across)

    def _point(self, along: float, across: float) -> str:
        x, y = (across, along) if self._down else (along, across)
        return f"{x:.1f},{y:.1f}"


def _cut(text: str, letters: float) -> str:
    return text if len(text) <= letters else f"{text[: max(1, int(letters) - 1)]}…"
