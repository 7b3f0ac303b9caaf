"""Settings: file < environment < flags, typed, and nothing unknown is passed over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from infra import provider as providers
from infra.errors import SettingsError
from pipelines import settings

LOCAL, KIND = providers.get("local"), providers.get("kind")


def load(
    file: str | None = None,
    environment: dict[str, str] | None = None,
    given: dict[str, Any] | None = None,
) -> tuple[Any, Any]:
    return settings.load(LOCAL, file, environment or {}, given or {})


def written(tmp_path: Path, name: str, text: str) -> str:
    (tmp_path / name).write_text(text)
    return str(tmp_path / name)


def test_each_layer_is_laid_over_the_one_before(tmp_path: Path) -> None:
    file = written(tmp_path, "a.toml", 'workspace = "file"\nexperiment = "file"\nparallel = 1\n')
    environment = {"TREFOIL_EXPERIMENT": "variable", "TREFOIL_PARALLEL": "2"}
    common, own = load(file, environment, {"parallel": "3"})
    assert (common.workspace, common.experiment) == ("file", "variable")
    assert (own.workspace, own.parallel, own.grace) == ("file", 3, 20.0)


def test_a_table_is_for_its_provider_alone(tmp_path: Path) -> None:
    file = written(tmp_path, "a.json", '{"local": {"parallel": 7}, "experiment": "e"}')
    common, own = load(file)
    assert (common.experiment, own.parallel) == ("e", 7)


def test_what_a_surrounding_step_was_told_is_no_setting() -> None:
    """A pipeline started inside a step of another one must not take over its run id."""
    load(environment={"TREFOIL_RUN_ID": "r", "TREFOIL_STEP": "s", "TREFOIL_TRACKING": "t"})


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.toml", "paralel = 1", "no setting paralel; did you mean parallel"),
        ("a.toml", "parallel = 'many'", "parallel is 'many'; it must be a whole number"),
        ("a.toml", "[local]\ngrase = 1", "table local: there is no setting grase"),
        ("a.toml", "local = 1", "local must be a table"),
        ("a.toml", "a = ", "neither TOML nor JSON"),
        ("a.json", "[1]", "must be a table of names and values"),
        ("a.json", "{", "neither TOML nor JSON"),
        ("a.json", "[" * 100_000, "neither TOML nor JSON"),
        ("63", '{"parallel": "many"}', "parallel is 'many'; it must be a whole number"),
    ],
)
def test_a_wrong_file_is_one_sentence(tmp_path: Path, name: str, text: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words) as refusal:
        load(written(tmp_path, name, text))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"TREFOIL_WORKSPCE": "w"}, "TREFOIL_WORKSPCE: there is no setting workspce; did you mean"),
        ({"TREFOIL_PARALLEL": "two"}, "the setting parallel is 'two'"),
        ({"TREFOIL_TRACKING_URI": "ftp://x"}, "tracking_uri is ftp://x; it is none, or starts"),
        ({"TREFOIL_RUNNER": "podman"}, "the setting runner is 'podman'; it must be .*docker"),
        ({"TREFOIL_GRACE": "nan"}, "the setting grace is nan; it is a finite number, 0 or more"),
        ({"TREFOIL_GRACE": "1e999"}, "the setting grace is inf; it is a finite number"),
        ({"TREFOIL_GRACE": "-1"}, "the setting grace is -1.0; it is a finite number, 0 or more"),
        ({"TREFOIL_PARALLEL": "-1"}, "the setting parallel is -1; it is a finite number"),
    ],
)
def test_a_wrong_variable_is_one_sentence(environment: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        load(environment=environment)


def test_a_place_has_its_own_default_of_a_common_setting() -> None:
    """The registry's verbs would look for kind's models in a file of this machine."""
    common, _ = settings.load(KIND, None, {}, {})
    assert common.tracking_uri == "http://127.0.0.1:5000"
    common, own = settings.load(KIND, None, {"TREFOIL_TRACKING_URI": "https://mlflow"}, {})
    assert common.tracking_uri == own.tracking_uri == "https://mlflow"


def test_a_table_is_json_outside_of_a_file() -> None:
    """A variable holds text alone; without this, secrets could be named in a file only."""
    _, own = settings.load(KIND, None, {"TREFOIL_SECRETS": '{"TOKEN": "mlflow/token"}'}, {})
    assert own.secrets == {"TOKEN": "mlflow/token"}
    with pytest.raises(SettingsError, match="the setting secrets is 'TOKEN', which is not JSON"):
        settings.load(KIND, None, {}, {"secrets": "TOKEN"})


@pytest.mark.parametrize("text", ["grace = nan", "grace = inf", "[local]\nparallel = -2"])
def test_a_number_of_a_file_is_held_to_the_same_rule(tmp_path: Path, text: str) -> None:
    """TOML can write nan and inf: a step would be waited for, for ever."""
    with pytest.raises(SettingsError, match="it is a finite number, 0 or more"):
        load(written(tmp_path, "a.toml", text))


def test_a_setting_of_the_command_line_is_typed_and_known() -> None:
    _, own = load(given={"grace": "2.5", "runner": "docker"})
    assert (own.grace, own.runner) == (2.5, "docker")
    with pytest.raises(SettingsError, match="local: there is no setting grase; did you mean grace"):
        load(given={"grase": "2"})


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none.toml cannot be read"):
        load(str(tmp_path / "none.toml"))


def test_a_file_that_is_no_text_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match=r"a.toml are not UTF-8 text"):
        load(str(tmp_path / "a.toml"))


def test_an_empty_variable_is_as_good_as_not_set() -> None:
    """An empty TREFOIL_WORKSPACE would make the current directory the workspace."""
    common, own = load(environment={"TREFOIL_WORKSPACE": "", "TREFOIL_PARALLEL": ""})
    assert (common.workspace, own.parallel) == (".trefoil", 0)


def test_yes_is_no_number(tmp_path: Path) -> None:
    """pydantic takes true for 1: a run would go on with one step at a time, without a word."""
    file = tmp_path / "s.json"
    file.write_text('{"parallel": true}')
    with pytest.raises(SettingsError, match="the setting parallel is true; it is no yes or no"):
        settings.load(providers.get("local"), str(file), {}, {})
