"""promote and rollback: who is champion, who was before, and no history is lost to a crash."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infra.errors import InputError
from infra.registry import Registry
from pipelines import __main__ as verbs
from pipelines import cli, registry, rollback, settings
from tests.registered import NAME, call
from tests.tracked import (  # noqa: F401  fixtures work by being here
    made_template,
    made_uri,
    outputs,
)


@pytest.fixture
def three(tmp_path: Path, uri: str, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """Three versions; the first is champion, the last is challenger."""
    for n in (1, 2, 3):
        place = outputs(tmp_path / str(n), seed=n)
        call(place, uri, monkeypatch, run=f"run-{n}", rule="when-better")
    for name in ("MLFLOW_TRACKING_URI", "TREFOIL_RUN_ID", "TREFOIL_GIT_COMMIT"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("TREFOIL_WORKSPACE", str(tmp_path / "ws"))
    return Registry(uri)


def verb(name: str, *words: str) -> int:
    parser = cli.Parser(prog="test")
    if name == "rollback":
        rollback.configure(parser)
        return rollback.rollback(parser.parse_args(words))
    registry.configure_promote(parser)
    return registry.promote(parser.parse_args(words))


def champion(found: Registry) -> str:
    now = found.champion(NAME)
    return now.version if now else ""


def test_the_challenger_is_promoted_and_taken_back(
    three: Registry, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert verb("promote") == cli.DONE
    assert champion(three) == "3"
    assert capsys.readouterr().out == f"version 3 is champion of {NAME} (before: version 1)\n"
    assert verb("rollback", "--json") == cli.DONE
    told = json.loads(capsys.readouterr().out)
    assert (told["name"], told["version"], told["previous"]) == (NAME, "1", "3")
    assert told["source"].startswith("file:")
    assert champion(three) == "1"


def test_an_endpoint_that_is_not_there_leaves_the_alias_alone(three: Registry) -> None:
    """Half a rollback, and exit code 0, would be believed."""
    verb("promote", "2")
    with pytest.raises(InputError, match="there is no endpoint nope; there is none"):
        verb("rollback", "--endpoint", "nope")
    assert champion(three) == "2"


def test_a_version_tells_when_it_was_made(three: Registry, tmp_path: Path) -> None:
    """A schedule asks how old the champion is."""
    made = [three.made(three.version(NAME, version)) for version in ("1", "2", "3")]
    assert made == sorted(made)
    assert abs(made[0] - (tmp_path / "1" / "version").stat().st_mtime) < 3600


def test_promote_through_the_table_of_verbs(three: Registry) -> None:
    assert verbs.main(["promote", "2", "--model-name", NAME]) == cli.DONE
    assert champion(three) == "2"


def test_rollback_walks_back_through_all_champions_and_stops_at_the_first(three: Registry) -> None:
    verb("promote", "2")
    verb("promote", "v3")
    verb("promote", "3")  # again: no step of its own
    assert [verb("rollback"), champion(three)] == [0, "2"]
    assert [verb("rollback"), champion(three)] == [0, "1"]
    with pytest.raises(InputError, match="version 1 is the first champion"):
        verb("rollback")
    verb("promote", "3")
    verb("promote", "1")
    assert [verb("rollback"), champion(three)] == [0, "3"]


def test_an_alias_moved_by_hand_counts(three: Registry) -> None:
    verb("promote", "3")
    three.client.set_registered_model_alias(NAME, "champion", "2")  # in MLflow's own pages
    assert [verb("rollback"), champion(three)] == [0, "3"]


def test_a_crash_between_history_and_alias_is_as_if_it_never_began(
    three: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = type(three.client)
    verb("promote", "2")

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(client, "set_registered_model_alias", dies)
        with pytest.raises(KeyboardInterrupt):
            verb("promote", "3")
    assert champion(three) == "2"
    assert [verb("rollback"), champion(three)] == [0, "1"]


def test_versions_deleted_since_are_passed_over(three: Registry) -> None:
    verb("promote", "2")
    verb("promote", "3")
    three.client.delete_model_version(NAME, "2")
    assert [verb("rollback"), champion(three)] == [0, "1"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["9"], f"{NAME} has no version 9; there is 1, 2, 3"),
        (["--", "--help"], f"{NAME} has no version --help; there is 1, 2, 3"),
        (["--model-name", "digits-vea"], "there is no registered model digits-vea; did you mean"),
    ],
)
def test_a_wrong_name_or_version_is_answered_with_the_right_ones(
    three: Registry, words: list[str], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        verb("promote", *words)


def test_of_several_models_one_must_be_named(three: Registry) -> None:
    three.ensure("other")
    with pytest.raises(InputError, match=f"--model-name; there is {NAME}, other"):
        verb("promote")
    with pytest.raises(InputError, match="other has no challenger"):
        verb("promote", "--model-name", "other")
    with pytest.raises(InputError, match="other has no champion"):
        verb("rollback", "--model-name", "other")


def test_where_nothing_is_registered_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TREFOIL_WORKSPACE", str(tmp_path / "ws"))
    with pytest.raises(InputError, match="nothing is registered"):
        verb("rollback")
    assert not (tmp_path / "ws").exists()


def test_where_no_model_is_registered_none_can_be_named(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After runs whose gate said no; to be asked for a name then leads nowhere."""
    monkeypatch.setenv("TREFOIL_TRACKING_URI", uri)
    with pytest.raises(InputError, match="no model is registered yet; a run whose gate passes"):
        verb("promote")


def test_none_turns_off_tracking_and_not_the_registry(tmp_path: Path) -> None:
    found = registry.tracking_uri(settings.Settings(workspace=str(tmp_path), tracking_uri="none"))
    assert found == f"sqlite:///{tmp_path / 'mlflow' / 'mlflow.db'}"
    there = settings.Settings(tracking_uri="http://host")
    assert registry.tracking_uri(there) == "http://host"
