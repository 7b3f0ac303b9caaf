"""Answers that are lost on the way: what was asked for is done, and is done once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from infra.azure import endpoint
from infra.azure.serving.state import At, look
from infra.errors import ProviderError
from tests.infra.azure.serving.placed import Place, place

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "_PAUSE", 0.0)


def _lost(after: int) -> dict[str, Any]:
    """A scenario in which Azure does the change of the endpoint after so many, and nobody hears."""
    change = {"host": "^management", "method": "PUT", "path": "/onlineEndpoints/digits$"}
    return {"faults": [{**change, "after": after}]}


def _changes(there: Place) -> int:
    return len(there.sent("PUT", "onlineEndpoints"))


@pytest.mark.parametrize(
    ("deployed", "serves"),
    [
        ([("1", 0), ("2", 0)], ("1", "2", "serving")),
        ([("1", 0), ("2", 0), ("3", 10)], ("2", "1", "serving")),
    ],
    ids=["version", "canary"],
)
def test_a_rollback_whose_answer_is_lost_goes_back_once(
    tmp_path: Path, deployed: list[tuple[str, int]], serves: tuple[str, ...]
) -> None:
    """Twice, and the bad version serves again, or the champion is lost with the canary."""
    with place(tmp_path, _lost(after=1 + len(deployed))) as there:
        for version, canary in deployed:
            there.deploy(version, canary)
        before = _changes(there)
        found = there.ask("rollback")
        assert (found.version, found.previous, found.state) == serves
        assert there.answers(2) == [serves[0]] * 2
        assert _changes(there) == before + 1


def test_a_promotion_whose_answer_is_lost_remembers_what_came_before(tmp_path: Path) -> None:
    """A rollback would come back to the version that serves."""
    with place(tmp_path, _lost(after=3)) as there:
        there.deploy("1")
        there.deploy("2", canary=10)
        found = there.deploy("2")
        assert (found.version, found.previous) == ("2", "1")
        assert _changes(there) == 4


def test_a_stop_whose_answer_is_lost_stops(tmp_path: Path) -> None:
    """What an error leaves standing is paid for."""
    with place(tmp_path, _lost(after=2)) as there:
        there.deploy("1")
        assert there.ask("stop").state == "stopped"
        assert there.kept("deployments") == []
        assert _changes(there) == 3


def test_an_endpoint_whose_answer_is_lost_is_known_as_made_just_now(tmp_path: Path) -> None:
    """It would keep its name from everyone in the region, though nothing was ever served by it."""
    with place(tmp_path, _lost(after=0)) as there:
        with pytest.raises(ProviderError, match="did not get the new version to serve"):
            there.deploy("1", ill=True)
        assert there.kept("onlineEndpoints") == []


def test_where_azure_fails_every_time_its_words_are_told_and_nothing_is_changed(
    tmp_path: Path,
) -> None:
    """It must not be asked for ever, and the last word is that of Azure."""
    fails = {"path": "/onlineEndpoints/digits$", "method": "PUT", "status": 500, "times": 99}
    with place(tmp_path, {"faults": [{**fails, "after": 2}]}) as there:
        there.deploy("1")
        before = look(At("digits", there.serving, 60.0))
        with pytest.raises(
            ProviderError, match="does not move the requests of digits: InternalServerError"
        ):
            there.ask("stop")
        assert look(At("digits", there.serving, 60.0)) == before
        assert _changes(there) == 2 + endpoint._TRIES
