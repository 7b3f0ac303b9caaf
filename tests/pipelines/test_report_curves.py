"""The curves of a report: which numbers become a line, and where it runs."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.report import curves, series
from tests.pipelines.reported import HISTORY, Page


@pytest.mark.parametrize(
    "history",
    [
        HISTORY,
        {"train": [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}],
         "valid": [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.5}]},
        [{"step": i, "train_loss": 1.0 / (i + 1), "val_loss": 2.0} for i in range(3)],
        [{"epoch": i, "train": {"loss": i}, "validation": {"loss": i}} for i in range(3)],
        {"loss": [3, 2, 1], "loss_val": [3, 2, 2]},
    ],
)  # fmt: skip
def test_histories_of_every_shape_become_one_chart(history: Any) -> None:
    (chart,) = series.charts(history)
    assert chart.quantity == "loss"
    assert {line.label for line in chart.lines} <= {"train", "validation", ""}
    assert len(chart.lines) == 2


@pytest.mark.parametrize(
    "history",
    [None, 5, "x", [], {}, [[1]], {"a": {"b": {"c": {"d": {"e": {"f": [1, 2]}}}}}}, {"a": [1]},
     {"a": [math.nan, math.inf]}, {"step": ["x"], "loss": ["y"]}, [{"step": 1}, {"loss": None}],
     {"step": [10**400, 1], "loss": [1, 2]}],
)  # fmt: skip
def test_what_is_no_history_draws_nothing(history: Any) -> None:
    assert series.charts(history) == []


numbers = st.one_of(st.none(), st.floats(), st.integers())


@settings(max_examples=100, deadline=None)
@given(st.lists(numbers, min_size=2, max_size=300))
def test_any_numbers_can_be_drawn(values: list[Any]) -> None:
    charts = series.charts({"train": {"loss": values}})
    page = Page(curves.curves(charts))
    for name, attributes in page.elements:
        drawn = [attributes.get(key) for key in ("d", "x", "y", "x1", "y1")]
        assert not any("nan" in each or "inf" in each for each in drawn if each), name


documents = st.recursive(
    st.one_of(numbers, st.booleans(), st.text(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(["step", "loss", "train", "val", "best"]), inner),
    ),
)

near_histories = st.dictionaries(
    st.sampled_from(["step", "loss", "train_loss", "val", "best"]),
    st.one_of(documents, st.lists(numbers, min_size=2, max_size=6)),
)


def numbers_in(document: Any) -> set[float]:
    """All that a line could be drawn through."""
    if isinstance(document, list | dict):
        inner = document.values() if isinstance(document, dict) else document
        return set().union(*map(numbers_in, inner))
    is_number = isinstance(document, int | float) and not isinstance(document, bool)
    return {series._float(document)} if is_number else set()


@settings(max_examples=200, deadline=None)
@given(st.one_of(documents, near_histories))
def test_any_document_is_drawn_or_left(history: Any) -> None:
    """A chart of what nobody wrote, or a line out of its frame, is worse than no chart."""
    charts = series.charts(history)
    page = Page(curves.curves(charts))
    assert len(page.every("figure", "chart")) == len(charts)
    lines = [
        line
        for chart in charts
        for line in sorted(chart.lines, key=lambda line: curves._ORDER.index(line.label))
    ]
    width = curves._WIDTH - curves._LEFT - curves._RIGHT
    for line, path in zip(lines, page.every("path", "line"), strict=True):
        heights = [y for _, y in line.points if math.isfinite(y)]
        assert set(heights) <= numbers_in(history)
        places = re.findall(r"[ML](-?[\d.]+),(-?[\d.]+)", str(path["d"]))
        assert len(places) == len(heights) >= 2
        assert all(0 <= float(x) <= width for x, _ in places)


def test_a_gap_in_the_numbers_is_a_gap_in_the_line() -> None:
    (chart,) = series.charts({"loss": [1, 2, None, 2, 1]})
    (line,) = Page(curves.curves([chart])).every("path", "line")
    assert str(line["d"]).count("M") == 2
