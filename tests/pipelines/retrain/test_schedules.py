"""A schedule trains only what changed, or what is too old; a person's word always trains."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime

import pytest

from infra import registry
from infra.registry import Version
from pipelines import watch
from pipelines.data.pins import pin_of
from tests.pipelines.retrain.ground import (
    Repository,
    made_repository,  # noqa: F401  a fixture works by being here
)

CATS = ("--data", "data/cats")


@pytest.fixture(name="learnt")
def made_run(repository: Repository) -> str:
    """A run that a schedule made, on a commit; its id."""
    repository.commit()
    done = repository.schedule(*CATS)
    assert (done.code, done.found["decision"], done.found["state"]) == (0, "retrain", "succeeded")
    assert "no run of this model has succeeded before" in done.found["reason"]
    run: str = done.found["run_id"]
    return run


def test_a_schedule_finds_nothing_new(repository: Repository, learnt: str) -> None:
    """A weekly bill for the same model, bit for bit, is what nobody wants."""
    repository.write("docs/page.md", "2\n")
    repository.commit()
    (repository.workspace / "ledger.jsonl").unlink()
    done = repository.schedule(*CATS, due="2026-12-07T04:17:00Z")
    assert (done.code, done.found["decision"], done.found["run_id"]) == (0, "skip", learnt)
    assert f"nothing changed since {learnt}" in done.found["reason"]
    assert repository.runs() == [learnt]


@pytest.mark.parametrize(
    ("name", "words", "why"),
    [
        ("components/step.py", (), "the code: components/step.py"),
        ("data/cats", (), "data_md5 from "),
        ("", ("--param", "hidden=8"), 'config from {} to {"hidden": "8"}'),
    ],
)
def test_a_schedule_trains_on_whatever_changed(
    repository: Repository, learnt: str, name: str, words: tuple[str, ...], why: str
) -> None:
    if name == "data/cats":
        repository.pin("cats", "cats of December")
    elif name:
        repository.write(name, "2\n")
    repository.commit()
    done = repository.schedule(*CATS, *words, due="2026-12-07T04:17:00Z")
    assert done.found["decision"] == "retrain"
    assert f"changed since {learnt}: {why}" in done.found["reason"]
    assert len(repository.runs()) == 2


def test_a_run_of_code_that_was_never_committed_does_not_count_as_the_same(
    repository: Repository,
) -> None:
    repository.commit()
    repository.write("components/step.py", "not committed\n")
    repository.schedule(*CATS)
    done = repository.schedule(*CATS, due="2026-12-07T04:17:00Z")
    assert done.found["decision"] == "retrain"
    assert "with uncommitted changes" in done.found["reason"]


def test_another_models_run_is_not_the_last_one_of_this(
    repository: Repository, learnt: str
) -> None:
    """Two data sets share a pipeline; each has its own last run, of whichever was newest."""
    repository.pin("dogs", "dogs")
    repository.commit()
    dogs = repository.schedule("--data", "data/dogs")
    assert (dogs.found["decision"], dogs.found["model_name"]) == ("retrain", "dogs-vae")
    assert dogs.found["event"] != learnt.split("-", 2)[2], "one event, two models: two keys"
    cats = repository.schedule(*CATS, due="2026-12-07T04:17:00Z")
    assert (cats.found["decision"], cats.found["run_id"]) == ("skip", learnt)


def test_the_same_time_again_is_the_same_event(repository: Repository, learnt: str) -> None:
    repository.write("components/step.py", "2\n")
    repository.commit()
    again = repository.schedule(*CATS)
    assert (again.found["run_id"], repository.runs()) == (learnt, [learnt])


class _Registry:
    """One that has a champion of cats, made in the year 2090: later than the run."""

    def __init__(self, uri: str) -> None:
        assert uri == "http://registry.example"

    def champion(self, name: str) -> Version:
        assert name == "cats-vae"
        return Version(name, "4", "", "", {})

    def made(self, version: Version) -> float:
        return datetime(2090, 1, 1, tzinfo=UTC).timestamp()


def test_a_champion_that_is_too_old_is_a_reason(
    repository: Repository, learnt: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the time that the event tells, and not by this machine's clock."""
    monkeypatch.setattr(registry, "Registry", _Registry)
    words = (*CATS, "--max-age", "30d", "--set", "tracking_uri=http://registry.example")
    young = repository.schedule(*words, due="2090-01-31T00:00:00Z")
    assert (young.found["decision"], young.found["run_id"]) == ("skip", learnt)
    monkeypatch.setattr(watch, "_tracked", lambda *_: contextlib.nullcontext())
    old = repository.schedule(*words, due="2090-01-31T00:00:01Z")
    assert old.found["decision"] == "retrain"
    assert f"nothing changed since {learnt}, but its champion, version 4" in old.found["reason"]
    assert "was last made 30.0 days ago" in old.found["reason"]
    never = repository.schedule(*CATS, due="2091-01-01T00:00:00Z")
    assert never.found["decision"] == "skip", "who names no age is asked for none"


def test_without_a_champion_no_age_is_a_reason(repository: Repository, learnt: str) -> None:
    done = repository.schedule(*CATS, "--max-age", "1h", due="2030-01-01T00:00:00Z")
    assert (done.found["decision"], done.found["run_id"]) == ("skip", learnt)
    assert "there is no champion" in done.said


def test_a_person_who_asks_gets_a_run_and_the_same_dispatch_no_second(
    repository: Repository, learnt: str
) -> None:
    """Nothing changed, and yet somebody wants it; pressing re-run is not asking again."""
    inputs = {"data": "cats", "recipe": "", "params": '{"hidden": 16, "seed": 3}'}
    event = repository.event("workflow_dispatch", inputs=inputs)
    one = repository.retrain(event, "--event-id", "19800000001")
    again = repository.retrain(event, "--event-id", "19800000001")
    other = repository.retrain(event, "--event-id", "19800000002")
    assert one.found["decision"] == "retrain", one.found
    assert again.found["run_id"] == one.found["run_id"] != other.found["run_id"]
    assert sorted([learnt, one.found["run_id"], other.found["run_id"]]) == repository.runs()
    request = repository.workspace / "runs" / one.found["run_id"] / "request.json"
    given = json.loads(request.read_text())["plan"]["parameters"]
    pin = pin_of("cats")
    assert pin is not None
    assert (given["config"], given["data_md5"]) == ('{"hidden": "16"}', pin.md5)


def test_a_dispatch_takes_its_id_from_the_runner(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit()
    event = repository.event("workflow_dispatch", inputs=None)
    assert "GITHUB_RUN_ID" in repository.retrain(event, *CATS).found["error"]
    monkeypatch.setenv("GITHUB_RUN_ID", "19800000003")
    assert repository.retrain(event, *CATS).found["decision"] == "retrain"


def test_drift_is_no_reason_to_make_the_same_model_again(
    repository: Repository, learnt: str
) -> None:
    """The same data give the same model: new ones have to be pinned first."""
    payload = {"data": "cats", "id": "alarm-7", "metric": "psi", "score": 0.31}
    event = repository.event("repository_dispatch", client_payload=payload)
    done = repository.retrain(event)
    assert (done.found["decision"], done.found["run_id"]) == ("skip", learnt)
    assert "drift of psi (0.31) was told" in done.found["reason"]
    repository.pin("cats", "cats of December")
    repository.commit()
    now = repository.retrain(event)
    assert (now.found["decision"], now.found["state"]) == ("retrain", "succeeded")
    assert repository.retrain(event).found["run_id"] == now.found["run_id"]
