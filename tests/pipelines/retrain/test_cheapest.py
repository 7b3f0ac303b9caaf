"""``retrain --provider cheapest``: an event makes one run, wherever prices and machines put it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra import machines
from infra.errors import CapacityError, InputError, ProviderError
from infra.plan import Event, State
from tests.pipelines.retrain.ground import (
    NONE,
    Done,
    Repository,
    made_repository,  # noqa: F401  a fixture works by being here
)
from tests.pipelines.toys import Toys, two

FULL = Event("", "failed", message="there is no machine free", code=1, error="CapacityError")
CHEAPEST = ("--provider", "cheapest")
DEARER = ("--set", 'prices={"cheap-1": 9}')


@pytest.fixture(name="toys")
def made_toys(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Toys]:
    """Two clouds, and cats that were pushed."""
    monkeypatch.setenv("TREFOIL_BUCKET", "some")
    found = two(monkeypatch, tmp_path / "machines.toml")
    for each in (machines._tables, machines.table):
        each.cache_clear()
    repository.commit()
    yield found
    for each in (machines._tables, machines.table):
        each.cache_clear()


def pushed(repository: Repository, *words: str) -> Done:
    """The same event each time."""
    return repository.push(NONE, repository.git("rev-parse", "HEAD"), *CHEAPEST, *words)


def test_an_event_goes_where_it_costs_least_and_the_choice_is_told(
    repository: Repository, toys: Toys
) -> None:
    done = pushed(repository)
    assert (done.code, done.found["decision"], done.found["state"]) == (0, "retrain", "succeeded")
    assert [each.run_id for each in toys.cheap.sent] == [done.found["run_id"]]
    assert not toys.dear.sent
    assert "<- chosen" in done.said
    assert done.said.count("retrain cats-vae: ") == 1


def test_a_dry_run_prints_what_the_cheapest_would_get(repository: Repository, toys: Toys) -> None:
    done = pushed(repository, "--dry-run")
    assert (done.code, done.found["request"]["provider"]) == (0, "cheap")
    assert not [*toys.cheap.sent, *toys.dear.sent]


def test_the_same_event_finds_its_run_where_it_is_not_the_cheapest_any_more(
    repository: Repository, toys: Toys
) -> None:
    """Prices change between two deliveries; the second must not train in another cloud."""
    first = pushed(repository)
    again = pushed(repository, *DEARER)
    assert "dear          $2.00" in again.said, "the other one is chosen by price"
    assert (again.code, again.found["run_id"]) == (0, first.found["run_id"])
    assert "this event made" in again.found["reason"]
    assert (len(toys.cheap.sent), len(toys.dear.sent)) == (1, 0)


def test_what_was_learnt_in_one_cloud_is_not_learnt_again_in_another(
    repository: Repository, toys: Toys
) -> None:
    first = pushed(repository)
    repository.write("docs/page.md", "2\n")
    repository.commit()
    other = pushed(repository, *DEARER)
    assert other.found["event"] != first.found["event"]
    assert (other.found["decision"], other.found["run_id"]) == ("skip", first.found["run_id"])
    assert not toys.dear.sent


def test_the_newest_of_all_places_is_what_new_data_are_held_against(
    repository: Repository, toys: Toys
) -> None:
    toys.cheap.at, toys.dear.at = 1.0, 2.0
    old = pushed(repository)
    repository.pin("cats", "cats of November")
    repository.commit()
    new = pushed(repository, *DEARER)
    assert new.found["decision"] == "retrain"
    assert f"changed since {old.found['run_id']}: data_md5" in new.found["reason"]
    repository.pin("cats", "cats of December")
    repository.commit()
    last = pushed(repository)
    assert f"changed since {new.found['run_id']}: data_md5" in last.found["reason"]


@pytest.mark.parametrize("refused", [True, False])
def test_where_no_machine_is_free_the_event_goes_on_elsewhere_and_is_found_there(
    repository: Repository, toys: Toys, refused: bool
) -> None:
    """At once, or once it has ended for want of one. Given again it must not begin anew."""
    if refused:
        toys.cheap.refuses = CapacityError("all taken")
    else:
        toys.cheap.ends = [FULL]
    done = pushed(repository)
    assert (done.code, done.found["decision"], done.found["state"]) == (0, "retrain", "succeeded")
    (there,) = toys.dear.sent
    assert there.run_id == done.found["run_id"]
    assert "going on with dear, the next cheapest" in done.said
    assert done.said.count("retrain cats-vae: ") == 1
    sent = len(toys.cheap.sent)
    again = pushed(repository)
    assert (again.code, again.found["state"]) == (0, "succeeded")
    assert "this event made" in again.found["reason"]
    assert (len(toys.cheap.sent), len(toys.dear.sent)) == (sent, 1)


@pytest.mark.parametrize("prices", [(), DEARER], ids=["the same prices", "others"])
@pytest.mark.parametrize("state", ["succeeded", "running", "failed"])
@pytest.mark.parametrize("refused", [True, False])
def test_a_run_that_went_on_elsewhere_is_found_there_whatever_the_first_place_asks_then(
    repository: Repository, toys: Toys, refused: bool, state: State, prices: tuple[str, ...]
) -> None:
    """Given again, the event is no reason to train anew where there was no machine for it."""
    toys.cheap.refuses = CapacityError("all taken") if refused else None
    toys.cheap.ends, toys.dear.ends = [FULL], [Event("", state)]
    toys.cheap.at, toys.dear.at = 1.0, 2.0
    pushed(repository)
    tried, (there,) = list(toys.cheap.known), toys.dear.sent
    toys.cheap.refuses = None
    again = pushed(repository, *prices)
    assert (again.found["run_id"], again.found["state"]) == (there.run_id, state)
    assert toys.cheap.known == tried
    assert {each.run_id for each in toys.dear.sent} == {there.run_id}
    assert len(toys.dear.sent) == (1 if state == "succeeded" else 2), "joined, or finished"


def test_a_cloud_that_does_not_answer_stops_it(
    repository: Repository, toys: Toys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have the run of this event: nobody knows, and two would be paid for."""

    def silent(_: Any) -> None:
        raise ProviderError("dear does not answer")

    monkeypatch.setattr(sys.modules["infra.dear.client"], "list_runs", silent)
    done = pushed(repository)
    assert (done.code, done.found["error"]) == (1, "dear does not answer")
    assert not [*toys.cheap.sent, *toys.dear.sent]


def test_an_events_settings_are_read_where_nothing_was_sent_before(
    repository: Repository, toys: Toys
) -> None:
    """A runner of GitHub's has an empty workspace: no place can be guessed from what was sent."""
    inputs = {"data": "cats", "params": '{"steps": 5}'}
    event = repository.event("workflow_dispatch", inputs=inputs)
    done = repository.retrain(event, "--event-id", "1", *CHEAPEST)
    assert (done.code, done.found.get("decision")) == (0, "retrain"), done.found
    (sent,) = toys.cheap.sent
    assert '"steps": "5"' in str(sent.plan.parameters["config"])


def test_settings_that_no_place_can_use_are_told_before_the_event_is_read(
    repository: Repository, toys: Toys
) -> None:
    event = repository.event("workflow_dispatch", inputs={"params": '{"steps": 5}'})
    done = repository.retrain(event, "--event-id", "1", *CHEAPEST, "--set", "bukket=x")
    assert done.code == InputError.exit_code
    assert "bukket" in done.found["error"]
    assert not [*toys.cheap.sent, *toys.dear.sent]
