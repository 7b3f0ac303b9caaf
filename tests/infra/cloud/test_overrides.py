"""A person's own fields go over ours, and only they."""

from __future__ import annotations

import pytest

from infra.cloud.overrides import over
from infra.cloud.problems import Problem, refuse, shown, under
from infra.errors import InputError


def test_objects_are_merged_and_all_else_is_replaced() -> None:
    """An override that dropped the fields beside it would lose machine type or role in silence."""
    body = {"a": {"b": 1, "c": [1, 2]}, "d": "x"}
    assert over(body, {"a": {"c": [3]}, "e": {"f": 1}}) == {
        "a": {"b": 1, "c": [3]}, "d": "x", "e": {"f": 1},
    }  # fmt: skip
    assert over(body, {"a": None})["a"] is None
    assert body["a"] == {"b": 1, "c": [1, 2]}


def test_every_fault_of_a_request_is_told_at_once_by_its_path() -> None:
    """Who is told of one fault at a time sends as many times."""
    refuse("the cloud", [])
    found = [("Create", Problem(under("a", "b"), "is missing")), ("Start", Problem("", "is empty"))]
    with pytest.raises(InputError) as caught:
        refuse("the cloud", found)
    assert str(caught.value).splitlines() == [
        "the cloud would refuse this run; nothing was sent:",
        "  Create: a.b is missing",
        "  Start: the request is empty",
    ]
    assert shown("x" * 100) == "x" * 60 + "..."
