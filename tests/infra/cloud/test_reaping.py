"""What reaping does alike in every cloud."""

from __future__ import annotations

import pytest

from infra.cloud import reaping
from infra.cloud.looking import Look
from infra.cloud.records import Records
from infra.errors import ProviderError
from infra.plan import State
from tests.infra.cloud.storing import Memory


def test_what_does_not_end_is_told_and_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reaping, "_PATIENCE", 0.0)
    monkeypatch.setattr(reaping, "_PAUSE", 0.0)
    with pytest.raises(ProviderError, match=r"r-1-train does not end, 0 s after Azure was asked"):
        reaping.wait_for(lambda: False, "r-1-train", "Azure")
    answers = iter([False, False, True])
    monkeypatch.setattr(reaping, "_PATIENCE", 60.0)
    reaping.wait_for(lambda: next(answers), "r-1-train", "Azure")
    assert next(answers, None) is None, "it looked until it was over"


@pytest.mark.parametrize(
    ("main", "kept"), [("running", "cancelled"), ("waiting", "cancelled"), ("failed", "failed")]
)
def test_the_end_of_a_reaped_run_is_kept_once(main: State, kept: State) -> None:
    """Jobs are gone by then: whoever looks later has nothing but the record."""
    records = Records(Memory(), "trefoil")
    attempt = records.claim("r-1", 1, {})
    reaping.keep_end(records, attempt, lambda: Look("running", main, {}))
    (found,) = [records.newest("r-1")]
    assert found is not None
    assert (found.ended["state"], found.ended["words"]) == (kept, "reaped")

    def looked() -> Look:
        raise AssertionError("it has ended")

    reaping.keep_end(records, found, looked)
    assert records.newest("r-1") == found


def test_data_of_this_run_alone_are_removed() -> None:
    """r-1 begins as r-10 does, and its neighbours in the bucket are somebody's models."""
    store = Memory()
    mine = [f"trefoil/{folder}/r-1/x" for folder in ("runs", "checkpoints", "records")]
    others = ["trefoil/runs/r-10/x", "trefoil/launch/x", "other/runs/r-1/x"]
    for key in mine + others:
        store.put(key, b"x")
    said = list(reaping.remove_data(store, "trefoil/", "r-1"))
    assert [each.partition(" ")[2] for each in said] == ["removed, 1 objects"] * 3
    assert [each.key for each in store.list("")] == sorted(others)
