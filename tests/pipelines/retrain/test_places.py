"""Every place remembers which event made which run: whoever comes next needs no file of ours."""

from __future__ import annotations

import pytest

from infra import provider as providers
from tests.pipelines.retrain.ground import (
    NONE,
    ROOT,
    Repository,
    made_repository,  # noqa: F401  a fixture works by being here
)

PLACES = [name for name in providers.names() if "rehearsal" not in providers.get(name).missing]


@pytest.mark.parametrize("place", PLACES)
def test_an_event_is_trained_once_in_a_cloud(
    repository: Repository, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a rehearsal, by the place's own client; the ledger is lost in between, as in CI."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # the stand-in is started from a checkout of ours
    words = ("--provider", place, "--rehearse")
    before = repository.commit()
    repository.pin("cats", "cats of November")
    after = repository.commit()
    first = repository.push(before, after, *words)
    assert first.code == 0, first.found
    assert first.found["state"] == "succeeded"
    (repository.workspace / "rehearsal" / place / "ledger.jsonl").unlink()
    if place == "kind":  # the quickest; what the others list is asked for by the next event
        again = repository.push(before, after, *words)
        assert again.found["run_id"] == first.found["run_id"]
        assert "this event made" in again.found["reason"]
    amended = repository.push(NONE, repository.commit(), *words)
    assert (amended.found["decision"], amended.found["run_id"]) == ("skip", first.found["run_id"])
