"""A small drawing and a word for each state, so that no state is told by colour alone."""

from __future__ import annotations

from infra.plan import State
from pipelines.report.markup import Markup, tag

_PATH: dict[State, str] = {
    "waiting": "M6.5 3.5V6.5L8.5 8",
    "running": "M5 4L9 6.5L5 9Z",
    "succeeded": "M3.8 6.8L5.8 8.8L9.4 4.6",
    "cached": "M3.6 5.4A3.2 3.2 0 0 1 9.4 5.2M9.5 3.1V5.4H7.2M9.4 7.6A3.2 3.2 0 0 1 3.6 7.8"
    "M3.5 9.9V7.6H5.8",
    "skipped": "M4 6.5H9",
    "failed": "M4.4 4.4L8.6 8.6M8.6 4.4L4.4 8.6",
    "cancelled": "M4.6 4.6H8.4V8.4H4.6Z",
}
"""Strokes within 13 x 13; a disc lies behind them."""


def mark(state: State, x: float, y: float) -> Markup:
    """The mark of a state inside a drawing, its corner at x, y."""
    return tag(
        "g",
        tag("circle", cx=6.5, cy=6.5, r=6.5),
        tag("path", d=_PATH.get(state, "")),
        transform=f"translate({x:.1f} {y:.1f})",
        class_="mark",
    )


def badge(state: State, words: str = "") -> Markup:
    """The mark and the word, as a label on the page."""
    drawing = tag(
        "svg", mark(state, 0, 0), viewBox="0 0 13 13", width=13, height=13, aria_hidden="true"
    )
    return tag("span", drawing, tag("span", words or state), class_=f"badge {state}")


def logo() -> Markup:
    """Three leaves and a stem."""
    leaves = [tag("circle", cx=x, cy=y, r=4.1) for x, y in ((6.2, 10.6), (13.8, 10.6), (10, 4.6))]
    stem = tag("path", d="M10 9.5C10 14 10.6 16.6 12 19")
    return tag(
        "svg", leaves, stem, viewBox="0 0 20 20", width=22, height=22, class_="logo",
        aria_hidden="true",
    )  # fmt: skip
