"""What a bucket keeps of a run is what every machine goes on with."""

from __future__ import annotations

import pytest

from infra.cloud.looking import Look, Task
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


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"3", b"[]", b"null"])
def test_a_damaged_record_is_told_by_its_address(content: bytes) -> None:
    store = Memory()
    store.put("trefoil/records/r-1/0001/request.json", content)
    with pytest.raises(InputError, match=r"mem://bucket/trefoil/records/r-1/0001/request.json"):
        Records(store, "trefoil").newest("r-1")


OTHER = "another version wrote it"
OVER = Look("failed", "failed", {"work": Task("failed", 1.0, 2.0, code=1)}, 1.0, 2.0, "no", 1)


def test_an_end_is_read_back() -> None:
    records = Records(Memory(), "trefoil")
    attempt = records.note(records.claim("r-1", 1, {}), "ended", OVER.data())
    assert records.again(attempt).end == OVER


@pytest.mark.parametrize(
    ("ended", "words"),
    [
        ({"state": "failed"}, OTHER),
        ({"tasks": {}}, OTHER),
        ({**OVER.data(), "tasks": [1]}, OTHER),
        ({**OVER.data(), "tasks": {"work": 1}}, OTHER),
        ({**OVER.data(), "tasks": {"work": {"state": "ill"}}}, "ill is no state"),
        ({**OVER.data(), "tasks": {"work": {"state": "failed", "code": "1"}}}, "code is no int"),
        ({**OVER.data(), "colour": "blue"}, OTHER),
        ({**OVER.data(), "state": "running"}, "running is no end"),
        ({**OVER.data(), "state": ["failed"]}, "is no state"),
        ({**OVER.data(), "began": None}, "began is no float"),
    ],
)
def test_an_end_that_is_damaged_or_of_another_version_is_wrong_input(
    ended: dict[str, object], words: str
) -> None:
    """`status`, `list` and `retrain` ended in a traceback, or waited for an end that was kept."""
    records = Records(Memory(), "trefoil")
    attempt = records.note(records.claim("r-1", 1, {}), "ended", ended)
    with pytest.raises(InputError) as caught:
        _ = records.again(attempt).end
    told = str(caught.value)
    assert told.startswith("records/r-1/0001/ended.json does not tell how a run ended (")
    assert told.endswith("; remove it, and the run is looked at anew")
    assert words in told


def test_the_plan_is_read_back() -> None:
    plan = Plan("some", ())
    assert Attempt("r-1", 1, {"plan": to_data(plan)}).plan == plan
    with pytest.raises(InputError, match="r-1"):
        _ = Attempt("r-1", 1, {"plan": {"is": "Plan", "colour": "blue"}}).plan
