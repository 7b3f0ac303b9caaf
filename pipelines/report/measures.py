"""The gate's word and the metrics, each beside its anchors and the champion."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from pipelines.report import words
from pipelines.report.marks import badge
from pipelines.report.markup import Markup, tag

_ANCHORS = {"real": "Real data", "gmm": "Mixture", "pixels": "Pixels", "uniform": "Uniform"}
_LEGEND = "On the right: the dot is this run, the diamond the champion, a stroke an anchor."
_WIDTH, _HEIGHT, _INSET = 132.0, 18.0, 8.0


class Column(NamedTuple):
    """The numbers of this run, of the champion, or of an anchor."""

    title: str
    kind: str
    numbers: Mapping[str, Any]


def columns(judged: Mapping[str, Any]) -> list[Column]:
    """This run first, then the champion, then the anchors in their order."""
    found = [Column("This run", "mine", _object(judged.get("metrics")))]
    champion = _object(judged.get("champion"))
    if numbers := _object(champion.get("metrics")):
        version = champion.get("version")
        found.append(Column(f"Champion v{version}" if version else "Champion", "champion", numbers))
    order = [*_ANCHORS]
    anchors = _object(judged.get("anchors")).items()
    for name, numbers in sorted(
        anchors, key=lambda each: order.index(each[0]) if each[0] in order else len(order)
    ):
        title = _ANCHORS.get(str(name)) or words.title(str(name))
        found.append(Column(title, "anchor", _object(numbers)))
    return found


def gate(judged: Mapping[str, Any], passed: object) -> Markup | None:
    """Whether the gate let the model through, and why; None where there is no gate.

    ``passed`` is what the run itself branched on, an output parameter.
    """
    said = _object(judged.get("gate"))
    word = passed if isinstance(passed, bool) else said.get("passed")
    listed = said.get("reasons")
    reasons = (
        [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    )
    if not isinstance(word, bool) and not reasons:
        return None
    reasons.sort(key=lambda reason: bool(reason.get("passed")))
    rows = [
        tag(
            "li",
            badge("succeeded", "held") if reason.get("passed") else badge("failed", "missed"),
            tag("span", str(reason.get("why", ""))),
        )
        for reason in reasons
    ]
    verdict = badge("succeeded", "passed") if word else badge("failed", "said no")
    if not isinstance(word, bool):
        verdict = badge("waiting", "not decided")
    return tag(
        "div",
        tag("p", "The gate ", verdict, class_="verdict"),
        tag("ul", rows, class_="reasons") if rows else tag("p", "It gave no reasons."),
        class_="gate",
    )


def table(judged: Mapping[str, Any]) -> Markup | None:
    """One row a metric; None where nothing was measured."""
    found = columns(judged)
    names = list(dict.fromkeys(name for column in found[:1] for name in column.numbers))
    names = [name for name in _known() if name in names] + [n for n in names if n not in _known()]
    if not names:
        return None
    beside = len(found) > 1
    head = [tag("th", "Metric", scope="col")]
    head += [tag("th", each.title, scope="col", class_=f"figure {each.kind}") for each in found]
    if beside:
        head.append(tag("th", "Right is better", scope="col", class_="strip"))
    body = [_row(name, found, beside) for name in names]
    return tag(
        "div",
        tag("table", tag("thead", tag("tr", head)), tag("tbody", body), class_="metrics"),
        tag("p", tag("small", _LEGEND)) if beside else None,
        class_="scroll",
        tabindex=0,
        role="region",
        aria_label="Metrics",
    )


def _row(name: str, found: list[Column], beside: bool) -> Markup:
    about = _known().get(name)
    better = about.better if about else ""
    arrow = {"lower": " ↓", "higher": " ↑"}.get(better, "")
    meaning = tag("small", f"{about.says}; {better} is better") if about else None
    cells = [tag("th", name.replace("_", " "), tag("span", arrow), meaning, scope="row")]
    mine = found[0].numbers.get(name)
    for column in found:
        value = column.numbers.get(name)
        shown = "–" if value is None else words.number(value)
        verdict = _verdict(mine, value, better) if column.kind == "champion" else None
        cells.append(tag("td", shown, verdict, class_=f"figure {column.kind}"))
    if beside:
        cells.append(tag("td", _strip(name, found, better), class_="strip"))
    return tag("tr", cells)


def _verdict(mine: object, theirs: object, better: str) -> Markup | None:
    """How this run stands to the champion."""
    if not better or not (_finite(mine) and _finite(theirs)):
        return None
    gain = (float(theirs) - float(mine)) * (1 if better == "lower" else -1)  # type: ignore[arg-type]
    if math.isclose(gain, 0, abs_tol=1e-9 * abs(float(theirs))):  # type: ignore[arg-type]
        return tag("small", "the same", class_="same")
    word, kind = ("better", "good") if gain > 0 else ("worse", "bad")
    return tag("small", f"{abs(gain):.2g} {word}", class_=kind)


def _strip(name: str, found: list[Column], better: str) -> Markup | None:
    """All columns of a metric on one line: dot this run, diamond champion, ticks anchors."""
    known = [(c, float(c.numbers[name])) for c in found if _finite(c.numbers.get(name))]
    low, high = min((v for _, v in known), default=0), max((v for _, v in known), default=0)
    if not better or len(known) < 3 or not 0 < high - low < math.inf:  # two say nothing of scale
        return None
    middle = _HEIGHT / 2
    shapes = [tag("line", x1=_INSET, x2=_WIDTH - _INSET, y1=middle, y2=middle, class_="rail")]
    for column, value in reversed(known):
        share = (value - low) / (high - low)
        share = 1 - share if better == "lower" else share
        x = _INSET + share * (_WIDTH - 2 * _INSET)
        label = tag("title", f"{column.title}: {words.number(value)}")
        if column.kind == "mine":
            shapes.append(tag("circle", label, cx=x, cy=middle, r=5, class_="mine"))
        elif column.kind == "champion":
            turn = f"rotate(45 {x:.1f} {middle:.1f})"
            shapes.append(
                tag(
                    "rect", label, x=x - 4, y=middle - 4, width=8, height=8, transform=turn,
                    class_="champion",
                )
            )  # fmt: skip
        else:
            shapes.append(tag("line", label, x1=x, x2=x, y1=3, y2=_HEIGHT - 3, class_="anchor"))
    return tag(
        "svg", shapes, viewBox=f"0 0 {_WIDTH:.0f} {_HEIGHT:.0f}", width=_WIDTH, height=_HEIGHT,
        role="img", aria_label=f"{name} of this run among the others",
    )  # fmt: skip


def _known() -> Mapping[str, Any]:
    """What the science says of its metrics; the module loads nothing heavy."""
    from training.metrics import METRICS

    return METRICS


def _finite(value: object) -> bool:
    try:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and math.isfinite(float(value))  # type: ignore[arg-type]
    except OverflowError:
        return False


def _object(found: object) -> Mapping[str, Any]:
    return found if isinstance(found, dict) else {}
