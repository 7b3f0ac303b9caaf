"""A push retrains the models whose data it changed, once, and no others."""

from __future__ import annotations

import json

import pytest

from infra.errors import CredentialsError, InputError, ProviderError
from infra.local import LocalSettings, client
from infra.plan import RunRef, Status
from pipelines import __main__ as verbs
from tests.pipelines.retrain.ground import (
    NONE,
    Repository,
    made_repository,  # noqa: F401  a fixture works by being here
)


@pytest.fixture(name="pushed")
def made_push(repository: Repository) -> tuple[str, str, str, str]:
    """A push of other cats: the commits before and after, the MD5s before and after."""
    before, was = repository.commit(), repository.pin("cats", "cats of October")
    now = repository.pin("cats", "cats of November")
    return before, repository.commit(), was, now


def test_a_changed_pin_is_trained_on_and_everything_says_which_event_it_was(
    repository: Repository, pushed: tuple[str, str, str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever finds the model later must find the commit that asked for it."""
    before, after, was, now = pushed
    done = repository.push(before, after)
    assert done.code == 0, done.said
    found = done.found
    assert (found["decision"], found["state"]) == ("retrain", "succeeded")
    assert f"data/cats.dvc changed from {was} to {now}" in found["reason"]
    assert found["model_name"] == "cats-vae"
    assert found["run_id"].endswith(f"-{found['event']}")
    assert repository.runs() == [found["run_id"]]
    request = json.loads(
        (repository.workspace / "runs" / found["run_id"] / "request.json").read_text()
    )
    assert request["plan"]["parameters"]["data_md5"] == now
    lines = repository.ledger()
    assert [line["step"] for line in lines] == ["intent", "submitted", "finished"]
    assert {(line["event"], line["cause"]) for line in lines} == {(found["event"], found["reason"])}
    assert (
        verbs.main(["run", "--pipeline", repository.pipeline, "--data", "data/cats", "--json"]) == 0
    )
    by_hand = json.loads(capsys.readouterr().out)["run_id"]
    name, digest, _ = by_hand.split("-")
    assert found["run_id"] == f"{name}-{digest}-{found['event']}", "an event changes no plan"
    assert by_hand.endswith("-1"), "and is no attempt"


def test_the_same_event_again_finds_its_run_whatever_it_is_asked_with(
    repository: Repository, pushed: tuple[str, str, str, str]
) -> None:
    """GitHub delivers twice, and people press "re-run": neither may train, or pay, twice."""
    first = repository.push(*pushed[:2])
    (repository.workspace / "ledger.jsonl").unlink()  # a runner of GitHub's begins with nothing
    again = repository.push(*pushed[:2], commits=[], forced=True, extra={"unknown": [1]})
    assert (again.code, again.found["decision"], again.found["state"]) == (
        0,
        "retrain",
        "succeeded",
    )
    assert again.found["run_id"] == first.found["run_id"]
    assert "this event made" in again.found["reason"]
    other = repository.push(*pushed[:2], "--param", "steps=7")
    assert other.found["run_id"] == first.found["run_id"]
    assert "by other flags" in other.found["reason"]
    assert repository.runs() == [first.found["run_id"]]


def test_the_same_event_finishes_the_run_that_failed(
    repository: Repository, pushed: tuple[str, str, str, str]
) -> None:
    repository.broken.touch()
    failed = repository.push(*pushed[:2])
    assert (failed.code, failed.found["state"]) == (1, "failed")
    repository.broken.unlink()
    done = repository.push(*pushed[:2])
    assert (done.code, done.found["state"]) == (0, "succeeded")
    assert repository.runs() == [failed.found["run_id"]]


def test_a_push_of_what_was_learnt_already_is_skipped(
    repository: Repository, pushed: tuple[str, str, str, str]
) -> None:
    """As after an amended message and a push by force: other commits, the same data."""
    first = repository.push(*pushed[:2])
    repository.write("components/step.py", "2\n")
    again = repository.push(pushed[0], repository.commit(), forced=True)
    assert (again.code, again.found["decision"]) == (0, "skip")
    assert again.found["run_id"] == first.found["run_id"]
    assert again.found["event"] != first.found["event"]
    assert "nothing changed since" in again.found["reason"]


def test_data_that_come_back_are_learnt_again(
    repository: Repository, pushed: tuple[str, str, str, str]
) -> None:
    """A pin that was reverted, and is put back, is a new event: the champion is of other data."""
    before, after, _, _ = pushed
    first = repository.push(before, after)
    repository.pin("cats", "cats of October")
    reverted = repository.commit()
    assert repository.push(after, reverted).found["decision"] == "retrain"
    repository.pin("cats", "cats of November")
    again = repository.push(reverted, repository.commit())
    assert again.found["decision"] == "retrain"
    assert again.found["run_id"] != first.found["run_id"]
    assert len(repository.runs()) == 3


@pytest.mark.parametrize(
    ("changed", "words", "why"),
    [
        ({"ref": "refs/heads/try"}, [], "push to refs/heads/try, and models are retrained from"),
        ({"ref": "refs/tags/main"}, [], "push to refs/tags/main"),
        ({}, ["--branch", "release"], "retrained from refs/heads/release"),
        ({"after": NONE, "deleted": True}, [], "refs/heads/main was deleted"),
        ({}, ["--data", "data/dogs"], "it changed no pin of data/dogs"),
    ],
)
def test_a_push_that_is_none_of_ours_trains_nothing(
    repository: Repository,
    pushed: tuple[str, str, str, str],
    changed: dict[str, object],
    words: list[str],
    why: str,
) -> None:
    given = {"before": pushed[0], "after": pushed[1], **changed}
    done = repository.retrain(repository.event("push", **given), *words)
    assert (done.code, done.found["decision"], done.found["run_id"]) == (0, "skip", None)
    assert why in done.found["reason"]
    assert not repository.runs()


def test_a_push_to_another_branch_counts_where_one_says_so(
    repository: Repository, pushed: tuple[str, str, str, str]
) -> None:
    done = repository.push(*pushed[:2], "--branch", "try", ref="refs/heads/try")
    assert done.found["decision"] == "retrain"


def test_a_pin_that_is_deleted_or_says_what_it_said_trains_nothing(repository: Repository) -> None:
    repository.pin("dogs", "dogs")
    before = repository.commit()
    (repository.place / "data" / "dogs.dvc").unlink()
    repository.write(
        "data/cats.dvc", (repository.place / "data/cats.dvc").read_text() + "meta: {}\n"
    )
    done = repository.push(before, repository.commit())
    assert done.code == 0
    reasons = {each["reason"] for each in done.found["models"]}
    assert {each["decision"] for each in done.found["models"]} == {"skip"}
    assert "data/dogs.dvc was deleted: there is nothing to learn from" in reasons
    assert any(reason.startswith("data/cats.dvc pins what it pinned before") for reason in reasons)
    assert not repository.runs()


def test_several_pins_of_one_push_are_several_models(repository: Repository) -> None:
    """And each finds its own run again."""
    before = repository.commit()
    repository.pin("cats", "other cats")
    repository.pin("dogs", "dogs")
    after = repository.commit()
    done = repository.push(before, after)
    models = {each["model_name"]: each for each in done.found["models"]}
    assert sorted(models) == ["cats-vae", "dogs-vae"]
    assert "data/dogs.dvc is new" in models["dogs-vae"]["reason"]
    assert repository.runs() == sorted(each["run_id"] for each in models.values())
    again = repository.push(before, after)
    assert [e["run_id"] for e in again.found["models"]] == [
        e["run_id"] for e in done.found["models"]
    ]
    one = repository.push(before, after, "--data", "data/dogs")
    assert one.found["run_id"] == models["dogs-vae"]["run_id"]
    assert len(repository.runs()) == 2


def test_what_is_wrong_with_one_model_is_told_before_another_is_trained(
    repository: Repository,
) -> None:
    """Half of a push, trained and paid for, and then a sentence about the other half."""
    before = repository.commit()
    repository.pin("cats", "other cats")
    repository.pin("dogs", "dogs")
    after = repository.commit()
    repository.write("data/dogs", "not what is pinned")
    done = repository.push(before, after)
    assert done.code == 2
    assert "data/dogs has md5" in done.found["error"]
    assert not repository.runs()


@pytest.mark.parametrize("before", [NONE, "d1c6a83b2f94e07c5ab8f3627e9d04b1c8f5a7e3"])
def test_where_the_commit_before_is_not_here_pins_are_held_against_the_last_runs(
    repository: Repository, before: str
) -> None:
    """A new branch, a force push, a shallow clone: then nobody can say what the push changed."""
    repository.pin("dogs", "dogs")
    start = repository.commit()
    learnt = repository.push(NONE, start, "--data", "data/dogs")
    assert learnt.found["decision"] == "retrain"
    repository.write("components/step.py", "2\n")
    done = repository.push(before, repository.commit(), forced=True)
    models = {each["model_name"]: each for each in done.found["models"]}
    assert {name: each["decision"] for name, each in models.items()} == {
        "cats-vae": "retrain", "dogs-vae": "skip"
    }  # fmt: skip
    assert models["dogs-vae"]["run_id"] == learnt.found["run_id"]
    assert done.found["decision"] == "retrain", "what is trained stands above what is skipped"
    assert "what it was before cannot be seen here" in models["cats-vae"]["reason"]


def test_files_are_asked_of_git_and_not_of_the_events_list(
    repository: Repository, pushed: tuple[str, str, str, str]
) -> None:
    """GitHub cuts the list off; a list that names no pin, or another, must not hide one."""
    lies = [{"id": pushed[1], "added": ["data/other.dvc"], "modified": ["README.md"]}]
    done = repository.push(*pushed[:2], commits=lies)
    assert done.found["decision"] == "retrain"
    assert "data/cats.dvc changed" in done.found["reason"]


def test_a_checkout_of_another_commit_is_refused(
    repository: Repository, pushed: tuple[str, str, str, str]
) -> None:
    """It would train on other data than the push has, and be called by that push."""
    repository.pin("cats", "cats of December")
    done = repository.push(*pushed[:2])
    assert done.code == 2
    assert f"check out {pushed[1]}" in done.found["error"]
    assert not repository.runs()


def test_data_that_are_not_here_are_pulled_by_dvc(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A runner of GitHub's has the pins alone."""
    for name in ("SITE_CACHE", "GLOBAL_CONFIG", "SYSTEM_CONFIG"):
        monkeypatch.setenv(f"DVC_{name}_DIR", str(repository.place.parent / name))
    repository.write(
        ".dvc/config", "[core]\n    remote = kept\n['remote \"kept\"']\n    url = ../../kept\n"
    )
    before, now = repository.commit(), repository.pin("cats", "cats of November")
    after = repository.commit()
    data = repository.place / "data" / "cats"
    data.unlink()
    kept = repository.place.parent / "kept" / "files" / "md5" / now[:2] / now[2:]
    kept.parent.mkdir(parents=True)
    kept.write_text("cats of November")
    assert repository.push(before, after, "--dry-run").code == 2, "a dry run pulls nothing"
    assert not data.exists()
    done = repository.push(before, after)
    assert (done.code, done.found["state"]) == (0, "succeeded"), done.said
    assert data.read_text() == "cats of November"
    data.write_text("mine")
    other = repository.push(before, after)
    assert other.code == 2
    assert "data/cats has md5" in other.found["error"]


def test_a_dry_run_prints_the_request_and_makes_nothing(
    repository: Repository, pushed: tuple[str, str, str, str]
) -> None:
    done = repository.push(*pushed[:2], "--dry-run")
    found = done.found
    assert (done.code, found["decision"], found["state"]) == (0, "retrain", None)
    request = found["request"]
    assert request["run_id"] == found["run_id"]
    assert request["plan"]["parameters"]["data_md5"] == pushed[3]
    assert not (repository.workspace / "runs").exists()
    assert not (repository.workspace / "ledger.jsonl").exists()


def test_a_run_that_cannot_be_read_is_not_taken_for_one_that_succeeded(
    repository: Repository, pushed: tuple[str, str, str, str]
) -> None:
    first = repository.push(*pushed[:2])
    run = repository.workspace / "runs" / first.found["run_id"]
    (run / "request.json").write_text("{")
    again = repository.push(NONE, repository.commit())
    assert again.found["decision"] == "retrain"
    assert first.found["run_id"] in repository.runs()


def test_a_run_that_is_gone_is_told_and_does_not_count(
    repository: Repository, pushed: tuple[str, str, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that is removed by somebody else between the list and the look."""
    first = repository.push(*pushed[:2])

    def gone(run: RunRef, settings: LocalSettings) -> Status:
        if run.run_id == first.found["run_id"]:
            raise InputError("there is no such run")
        return status(run, settings)

    status = client.status
    monkeypatch.setattr(client, "status", gone)
    again = repository.push(NONE, repository.commit())
    assert again.found["decision"] == "retrain"
    told = f"{first.found['run_id']} does not count as a run before: there is no such run"
    assert told in again.said


@pytest.mark.parametrize("verb", ["list_runs", "status", "history"])
@pytest.mark.parametrize(
    ("error", "code"), [(ProviderError("no answer"), 1), (CredentialsError("who are you"), 2)]
)
def test_a_place_that_does_not_answer_gets_no_second_run(
    repository: Repository, pushed: tuple[str, str, str, str], verb: str, error: Exception,
    code: int, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """What is not known is no reason to train, and to pay, again."""
    first = repository.push(*pushed[:2])

    def silent(*_: object) -> None:
        raise error

    monkeypatch.setattr(f"infra.local.client.{verb}", silent)
    again = repository.push(NONE, repository.commit())
    assert (again.code, again.found) == (code, {"error": str(error), "exit_code": code})
    assert repository.runs() == [first.found["run_id"]]


@pytest.mark.parametrize("place", ["data", "docs", "deeper/down"])
def test_a_push_is_the_same_event_from_anywhere_in_the_repository(
    repository: Repository, pushed: tuple[str, str, str, str], place: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Git tells files from the top; looked for from here they would be missing, or not looked for.

    A key that went by where one stands would train the same push once more.
    """
    here = repository.place / place
    here.mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(here)
    done = repository.push(*pushed[:2])
    assert (done.code, done.found.get("state")) == (0, "succeeded"), done.found
    assert f"data/cats.dvc changed from {pushed[2]} to {pushed[3]}" in done.found["reason"]
    unknown = repository.push(NONE, pushed[1])
    assert unknown.found["run_id"] == done.found["run_id"], "of the pins here, one by one"
    monkeypatch.chdir(repository.place)
    again = repository.push(*pushed[:2])
    assert again.found["event"] == done.found["event"]
    assert repository.runs() == [done.found["run_id"]]


def test_a_project_below_the_top_of_a_repository_is_asked_for_its_own_pins(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where Trefoil is a folder among others, as from a shallow clone."""
    below = repository.place / "below"
    (below / "data").mkdir(parents=True)
    repository.pin("dogs", "dogs")
    for name in ("dogs", "dogs.dvc"):
        (repository.place / "data" / name).rename(below / "data" / name)
    monkeypatch.chdir(below)
    done = repository.push(NONE, repository.commit())
    assert (done.code, done.found["model_name"]) == (0, "dogs-vae"), done.found
    assert done.found["reason"].startswith("below/data/dogs.dvc pins ")
