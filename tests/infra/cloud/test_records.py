"""What a bucket keeps of a run is what every machine goes on with."""

from __future__ import annotations

import pytest

from infra.cloud.records import Attempt, Records
from infra.errors import InputError
from infra.plan import Plan, RunRef, to_data
from tests.infra.cloud.storing import Memory

RUN = RunRef("gcp", "r-1")


def test_of_two_who_begin_both_go_on_with_what_the_first_wrote() -> None:
    """Two commands that started two jobs for one run would be billed twice."""
    records = Records(Memory(), "/trefoil/")
    first = records.claim("r-1", 1, {"job": "one"})
    second = records.claim("r-1", 1, {"job": "two"})
    assert first.request == second.request == {"job": "one"}


def test_the_newest_attempt_is_the_run() -> None:
    """A run that failed and is tried again must not be told by its first end."""
    store = Memory()
    records = Records(store, "trefoil")
    attempt = records.claim("r-1", 1, {"n": 1})
    records.note(records.note(attempt, "started", {"job": "a"}), "ended", {"state": "failed"})
    records.claim("r-1", 2, {"n": 2})
    assert records.newest("r-1") == Attempt("r-1", 2, {"n": 2})
    assert [each.ended for each in records.attempts(RUN)] == [{"state": "failed"}, {}]
    assert sorted(store.objects) == [
        "trefoil/records/r-1/0001/ended.json", "trefoil/records/r-1/0001/request.json",
        "trefoil/records/r-1/0001/started.json", "trefoil/records/r-1/0002/request.json",
    ]  # fmt: skip


def test_a_mark_is_left_by_one_alone_and_is_no_part_of_the_attempt() -> None:
    """It says who makes a job that has no name of its own: two would make two."""
    records = Records(Memory(), "trefoil")
    attempt = records.claim("r-1", 1, {"n": 1})
    assert [records.mark(attempt, "making-1") for _ in range(2)] == [True, False]
    assert [records.marked(attempt, f"making-{number}") for number in (1, 2)] == [True, False]
    assert records.again(attempt) == attempt


def test_a_run_that_begins_with_another_ones_name_is_another() -> None:
    records = Records(Memory(), "trefoil")
    records.claim("r-10", 1, {})
    assert records.newest("r-1") is None


def test_runs_are_told_newest_first() -> None:
    records = Records(Memory(), "trefoil")
    for run, number in (("old", 1), ("new", 1), ("old", 2)):
        records.claim(run, number, {})
    assert records.runs() == ["old", "new"]


def test_an_unknown_run_is_told_with_where_it_was_looked_for() -> None:
    with pytest.raises(InputError, match=r"no run r-1 in mem://bucket/trefoil/records/.*gcp"):
        Records(Memory(), "trefoil").require(RUN)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff"])
def test_a_damaged_record_is_told_by_its_address(content: bytes) -> None:
    store = Memory()
    store.put("trefoil/records/r-1/0001/request.json", content)
    with pytest.raises(InputError, match=r"mem://bucket/trefoil/records/r-1/0001/request.json"):
        Records(store, "trefoil").newest("r-1")


def test_the_plan_is_read_back() -> None:
    plan = Plan("some", ())
    assert Attempt("r-1", 1, {"plan": to_data(plan)}).plan == plan
    with pytest.raises(InputError, match="r-1"):
        _ = Attempt("r-1", 1, {"plan": {"is": "Plan", "colour": "blue"}}).plan
