"""An event is what anybody may have written: what is not as it must be is one sentence, code 2."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infra.errors import InputError
from pipelines.retrain import trigger
from tests.pipelines.retrain.ground import (
    EVENTS,
    Repository,
    made_repository,  # noqa: F401  a fixture works by being here
)

DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe{}", b"[]", b'"push"', b"NaN", DEEP.encode()])
def test_what_is_no_event_at_all(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "event.json"
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"is not JSON in UTF-8|is not a JSON object"):
        trigger.read(file, "1")


def test_a_file_that_is_not_there_or_too_large(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        trigger.read(tmp_path / "none.json", "1")
    with (tmp_path / "event.json").open("wb") as file:
        file.truncate(26 * 2**20)
    with pytest.raises(InputError, match="more than 25 MB"):
        trigger.read(tmp_path / "event.json", "1")


def told(name: str, changed: dict[str, Any], file: Path) -> trigger.Trigger:
    document = json.loads((EVENTS / f"{name}.json").read_text())
    file.write_text(json.dumps({**document, **changed}))
    return trigger.read(file, "7")


@pytest.mark.parametrize(
    ("name", "changed", "why"),
    [
        ("push", {"ref": "refs/heads/a b"}, "ref of .* must be a branch or a tag"),
        ("push", {"ref": "refs/heads/--upload-pack=x"}, "must be a branch or a tag"),
        ("push", {"ref": ["refs/heads/main"]}, "must be a branch or a tag"),
        ("push", {"ref": "refs/heads/" + "m" * 10**6}, "must be a branch or a tag"),
        ("push", {"ref": "refs/heads/\ud800"}, "is not JSON in UTF-8"),
        ("push", {"before": "main"}, "before of .* must be a commit"),
        ("push", {"after": "6dcb09b5; rm -rf /"}, "after of .* must be a commit"),
        ("push", {"after": None}, "after of .* is missing"),
        ("push", {"deleted": "yes"}, "deleted of .* must be true or false"),
        ("push", {"repository": None}, "repository of .* is missing, and must be an object"),
        ("push", {"repository": {"full_name": "../../x", "default_branch": "main"}}, "full_name"),
        ("push", {"repository": {"full_name": "a/b", "default_branch": "-x"}}, "default_branch"),
        ("schedule", {"schedule": "$(id)"}, "must be a schedule of cron's"),
        ("schedule", {"time": "soon"}, "time of .* must be a time such as"),
        ("schedule", {"time": "2026-13-40T99:99:99Z"}, "must be a time that there is"),
        ("workflow_dispatch", {"inputs": {"data": "/etc/passwd"}}, "must be the name of a pinned"),
        ("workflow_dispatch", {"inputs": {"data": "../secret"}}, "must be the name of a pinned"),
        ("workflow_dispatch", {"inputs": {"recipe": "--settings=x"}}, "must be the name of a rec"),
        ("workflow_dispatch", {"inputs": {"provider": "aws"}}, "it may have data, params, recipe"),
        ("workflow_dispatch", {"inputs": {"params": "steps=20"}}, "must be a JSON object"),
        ("workflow_dispatch", {"inputs": {"params": '{"steps": [1]}'}}, "names and plain values"),
        ("workflow_dispatch", {"inputs": {"params": '{"a b": 1}'}}, "names and plain values"),
        ("workflow_dispatch", {"inputs": {"params": '{"steps": NaN}'}}, "must be a JSON object"),
        ("workflow_dispatch", {"inputs": {"params": DEEP}}, "params of .* must be"),
        ("workflow_dispatch", {"inputs": {"params": '{"a": "\\ud800"}'}}, "must be a JSON object"),
        ("workflow_dispatch", {"inputs": "data"}, "inputs of .* must be an object"),
        ("repository_dispatch", {"action": "deploy"}, "action of .* must be drift-detected"),
        ("repository_dispatch", {"client_payload": {"cmd": "id"}}, "has a field cmd; it may have"),
        ("repository_dispatch", {"client_payload": {"score": True}}, "score .* must be a number"),
        ("repository_dispatch", {"client_payload": {"score": 10**400}}, "must be a number"),
        ("repository_dispatch", {"client_payload": {"id": "a\nb"}}, "id of client_payload"),
        ("repository_dispatch", {"client_payload": {"metric": "$(id)"}}, "name of a measure"),
    ],
)
def test_a_field_that_is_not_as_it_must_be(
    tmp_path: Path, name: str, changed: dict[str, Any], why: str
) -> None:
    with pytest.raises(InputError, match=why) as raised:
        told(name, changed, tmp_path / "event.json")
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 400


def test_an_event_that_retrains_nothing_is_refused(tmp_path: Path) -> None:
    document = json.loads((EVENTS / "push.json").read_text())
    kept = {name: document[name] for name in ("repository", "sender")}
    file = tmp_path / "event.json"
    file.write_text(json.dumps({**kept, "pull_request": {"number": 1}, "number": 1}))
    with pytest.raises(InputError, match="is no push, schedule, workflow_dispatch or repository"):
        trigger.read(file, "1")


def test_what_else_github_tells_changes_nothing(tmp_path: Path) -> None:
    """It adds fields when it likes; that must not stop anybody's training."""
    plain = told("push", {}, tmp_path / "a.json")
    more = told("push", {"new": {"deep": [1]}, "commits": [], "sender": None}, tmp_path / "b.json")
    assert plain == more
    assert plain.key("x") == more.key("x")


@pytest.mark.parametrize("event_id", ["", "a b", "x" * 65, "../1"])
def test_an_event_without_a_name_of_its_own_needs_one(event_id: str) -> None:
    with pytest.raises(InputError, match="--event-id"):
        trigger.read(EVENTS / "schedule.json", event_id)


def test_keys_tell_events_apart(tmp_path: Path) -> None:
    """Two that shared a key would be trained once."""
    file = tmp_path / "event.json"
    keys = [
        told("push", {}, file).key("cats"),
        told("push", {}, file).key("dogs"),
        told("push", {"after": "a" * 40}, file).key("cats"),
        told("push", {"ref": "refs/heads/x"}, file).key("cats"),
        told("schedule", {}, file).key("cats"),
        told("schedule", {"schedule": "18 4 * * 1"}, file).key("cats"),
        told("schedule", {"time": "2026-11-30T04:17:00Z"}, file).key("cats"),
        told("workflow_dispatch", {}, file).key("cats"),
        told("repository_dispatch", {}, file).key("cats"),
        told("repository_dispatch", {"client_payload": {"id": "other"}}, file).key("cats"),
    ]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({"promote": "always"}, "an event may not set promote"),
        ({"model_name": "other"}, "an event may not set model_name"),
        ({"data": "/proc"}, "an event may not set data"),
        ({"hiddn": 8}, "hiddn"),
    ],
)
def test_an_event_does_not_say_where_models_go_nor_what_is_read(
    repository: Repository, params: dict[str, Any], why: str
) -> None:
    """Who may start a workflow is not who may put a model before everybody."""
    repository.commit()
    event = repository.event("workflow_dispatch", inputs={"params": json.dumps(params)})
    done = repository.retrain(event, "--event-id", "1")
    assert (done.code, list(done.found)) == (2, ["error", "exit_code"])
    assert why in done.found["error"]
    assert not repository.runs()


def test_the_flags_of_the_command_are_not_overridden(repository: Repository) -> None:
    repository.commit()
    inputs = {"data": "cats", "params": '{"steps": 5}'}
    event = repository.event("workflow_dispatch", inputs=inputs)
    both = repository.retrain(event, "--event-id", "1", "--data", "data/cats")
    assert "the event and --data both name the data" in both.found["error"]
    both = repository.retrain(event, "--event-id", "1", "--param", "steps=6")
    assert "the event and --param both set steps" in both.found["error"]
    unknown = repository.event("workflow_dispatch", inputs={"data": "dogs"})
    done = repository.retrain(unknown, "--event-id", "1")
    assert (done.code, repository.runs()) == (2, [])
    assert "names the data dogs, which are not pinned here" in done.found["error"]
