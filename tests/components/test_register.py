"""A model becomes a version: once, with its facts, aliased by rule, of use to MLflow's tools."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components import contract, register
from components.serving.operations import Model
from infra import mlflow
from infra.errors import InputError as Refused
from infra.errors import ProviderError
from infra.registry import Registry, Version
from tests.tracked import (  # noqa: F401  fixtures work by being here
    made_template,
    made_uri,
    outputs,
    step,
)
from training.errors import InputError

NAME = "digits-vae"


def call(
    place: Path, uri: str, monkeypatch: pytest.MonkeyPatch, run: str = "run-1", rule: str = ""
) -> str:
    """Register what ``outputs`` made; the version."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("TREFOIL_RUN_ID", run)
    monkeypatch.setenv("TREFOIL_GIT_COMMIT", "c0ffee")
    arguments = ["--dataset", place / "dataset", "--model", place / "model"]
    arguments += ["--evaluation", place / "evaluation", "--version", place / "version"]
    arguments += ["--model-name", NAME, *(["--promote", rule] if rule else [])]
    register.main([str(each) for each in arguments])
    return (place / "version").read_text()


def aliases(uri: str) -> dict[str, str]:
    found = Registry(uri).client.get_registered_model(NAME).aliases
    return {alias: str(version) for alias, version in found.items()}


def test_a_version_carries_all_that_is_known_of_it(
    tmp_path: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = outputs(tmp_path / "a", kid=None)
    assert call(place, uri, monkeypatch) == "1"
    registry = Registry(uri)
    version = registry.version(NAME, "1")
    assert version.tags.items() >= {
        "dataset.name": "digits", "dataset.md5": "0123456789abcdef" * 2, "recipe": "vae",
        "git.commit": "c0ffee", "trefoil.run_id": "run-1", "metric.bits_per_dim": "2.1",
        "metric.fd": "1.5",
    }.items()  # fmt: skip
    assert "metric.kid" not in version.tags
    run = registry.client.get_run(version.run)
    assert run.info.run_name == "run-1"
    assert run.data.metrics == {"bits_per_dim": 2.1, "fd": 1.5}
    assert aliases(uri) == {"champion": "1", "challenger": "1"}


def test_nothing_in_it_is_pickled(
    tmp_path: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    call(outputs(tmp_path / "a"), uri, monkeypatch)
    suffixes = {file.suffix for file in (tmp_path / "ws" / "mlflow" / "mlartifacts").rglob("*.*")}
    assert suffixes == {".py", ".yaml", ".txt", ".json", ".onnx", ".npz"}, "npz is the test model's"


def test_the_same_model_is_registered_once(
    tmp_path: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that finds its model in the cache must not fill the registry with copies."""
    place, other = outputs(tmp_path / "a"), outputs(tmp_path / "b", seed=1)
    assert [call(place, uri, monkeypatch, run=f"run-{n}") for n in range(2)] == ["1", "1"]
    assert call(other, uri, monkeypatch) == "2"
    assert len(Registry(uri).versions(NAME)) == 2


class Killed(BaseException):
    """The process was killed here."""


def test_killed_anywhere_it_ends_with_one_version(
    tmp_path: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = type(Registry(uri).client)
    life = [0]

    def die() -> None:
        life[0] -= 1
        if life[0] == 0:
            raise Killed

    def mortal(real: Any) -> Any:
        def run(*arguments: Any, **named: Any) -> Any:
            die()
            result = real(*arguments, **named)
            die()
            return result

        return run

    for name in (
        "create_experiment", "create_run", "create_registered_model", "create_model_version",
        "log_artifacts", "log_batch", "set_registered_model_alias", "set_registered_model_tag",
    ):  # fmt: skip
        monkeypatch.setattr(client, name, mortal(getattr(client, name)))
    deaths = 0
    for at in range(1, 40):
        place = outputs(tmp_path / f"a{at}", seed=at)
        life[0] = at
        try:
            call(place, uri, monkeypatch, run=f"run-{at}", rule="always")
            break
        except Killed:
            deaths += 1
            assert call(place, uri, monkeypatch, run=f"run-{at}", rule="always") == str(at)
    assert deaths >= 12
    versions = Registry(uri).versions(NAME)
    assert len(versions) == deaths + 1
    assert aliases(uri) == {"champion": str(deaths + 1), "challenger": str(deaths + 1)}
    registry = Registry(uri)
    where = [each.experiment_id for each in registry.client.search_experiments()]
    runs = registry.client.search_runs(where)
    assert len({run.info.run_name for run in runs}) == len(runs) == deaths + 1
    for version in versions:
        Registry(uri).download(version, tmp_path / "got" / version.version)


COMPARED = {"version": "1", "metrics": {"bits_per_dim": 2.1, "fd": 1.5}}


@pytest.mark.parametrize(
    ("rule", "champion", "bits", "promoted", "why"),
    [
        ("when-better", COMPARED, 2.0, True, "bits_per_dim 2 is better than champion 1's 2.1"),
        ("when-better", COMPARED, 2.1, False, "bits_per_dim 2.1 is not better"),
        ("when-better", COMPARED, 2.11, False, "bits_per_dim 2.11 is not better"),
        ("when-better", None, 2.0, False, "it was not compared with champion 1; decide"),
        ("when-better", COMPARED | {"version": "9"}, 2.0, False, "compared with champion 9"),
        ("when-better", COMPARED | {"metrics": None}, 2.0, False, "could not be compared"),
        ("always", None, 9.0, True, "--promote always"),
        ("never", COMPARED, 1.0, False, "--promote never"),
    ],
)  # fmt: skip
def test_promotion_by_rule(
    tmp_path: Path,
    uri: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    rule: str,
    champion: dict[str, Any] | None,
    bits: float,
    promoted: bool,
    why: str,
) -> None:
    call(outputs(tmp_path / "a"), uri, monkeypatch)
    second = outputs(tmp_path / "b", seed=1, champion=champion, bits_per_dim=bits)
    call(second, uri, monkeypatch, run="run-2", rule=rule)
    assert aliases(uri) == {"champion": "2" if promoted else "1", "challenger": "2"}
    assert why in capsys.readouterr().err


def test_never_leaves_even_the_first_one_a_challenger(
    tmp_path: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    call(outputs(tmp_path / "a"), uri, monkeypatch, rule="never")
    assert aliases(uri) == {"challenger": "1"}


def test_mlflow_itself_runs_the_version(
    tmp_path: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a folder without our code, by MLflow's own command."""
    place = outputs(tmp_path / "a")
    call(place, uri, monkeypatch)
    images = np.random.default_rng(0).random((3, 8, 8)).astype(np.float32)
    model = Model(place / "model")
    asked = {
        "score": ({}, model.score(images)),
        "reconstruct": ({"operation": "reconstruct"}, model.reconstruct(images)),
        "sample": ({"operation": "sample", "n": 2, "seed": 7}, model.sample(model.draw(2, 7))),
    }
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    for params, expected in asked.values():
        file = tmp_path / "in.json"
        file.write_text(json.dumps({"inputs": images.tolist(), "params": params}))
        run = subprocess.run(
            [Path(sys.executable).with_name("mlflow"), "models", "predict", "-m",
             f"models:/{NAME}@champion", "--env-manager", "local", "-i", str(file)],
            cwd=tmp_path, env=environment, check=True, capture_output=True, text=True,
        )  # fmt: skip
        found = json.loads(run.stdout[run.stdout.index('{"predictions"') :])["predictions"]
        np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-5)


def test_a_wrong_operation_is_refused_by_name(tmp_path: Path) -> None:
    from components.pyfunc import _load_pyfunc

    model = _load_pyfunc(str(outputs(tmp_path / "a") / "model"))
    assert model.predict(np.zeros((2, 8, 8))).shape == (2,)
    with pytest.raises(ValueError, match="operation is 'paint'; this model has"):
        model.predict(np.zeros((2, 8, 8)), {"operation": "paint"})


def test_a_fresh_database_is_made_whole_by_whoever_comes_first(tmp_path: Path) -> None:
    """Six at once, none of them waiting politely."""
    uri = f"sqlite:///{tmp_path / 'new' / 'mlflow.db'}"

    def arguments(n: int) -> list[str]:
        place = outputs(tmp_path / f"a{n}", seed=n)
        found = ["--dataset", place / "dataset", "--model", place / "model", "--model-name", NAME]
        return [str(each) for each in [*found, "--evaluation", place / "evaluation"]]

    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "components.register", *arguments(n),
             "--version", str(tmp_path / f"v{n}")],
            env={**os.environ, "MLFLOW_TRACKING_URI": uri, "TREFOIL_RUN_ID": f"run-{n}"},
            stderr=subprocess.PIPE, text=True,
        )
        for n in range(4)
    ]  # fmt: skip
    for process in processes:
        _, said = process.communicate()
        assert process.returncode == 0, said
    versions = {(tmp_path / f"v{n}").read_text() for n in range(4)}
    assert versions == {"1", "2", "3", "4"}
    with closing(sqlite3.connect(tmp_path / "new" / "mlflow.db")) as database:
        assert database.execute("pragma integrity_check").fetchone() == ("ok",)
    assert not (tmp_path / "new" / ".mlflow.db.partial").exists()


def spoil(uri: str, statement: str) -> None:
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as database:
        database.execute(statement)
        database.commit()


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("update alembic_version set version_num = '451aebb31d03'", "older MLflow .*mlflow db upg"),
        ("update alembic_version set version_num = 'ffffffffffff'", "newer MLflow"),
        ("delete from alembic_version", "newer MLflow|older MLflow"),
        ("drop table alembic_version", "not one of MLflow's"),
    ],
)
def test_a_database_of_another_version_is_refused_untouched(
    uri: str, statement: str, words: str
) -> None:
    spoil(uri, statement)
    file = Path(uri.removeprefix("sqlite:///"))
    before = file.read_bytes()
    with pytest.raises(Refused, match=words):
        mlflow.connect(uri)
    assert file.read_bytes() == before


def test_an_old_database_that_lacks_a_table_is_not_migrated_behind_anybodys_back(uri: str) -> None:
    """MLflow itself would: it takes a missing table for an empty database."""
    spoil(uri, "update alembic_version set version_num = '451aebb31d03'")
    spoil(uri, "drop table registered_model_aliases")
    with pytest.raises(Refused, match="mlflow db upgrade sqlite:"):
        mlflow.connect(uri)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("this is a letter to my aunt, not a database at all")
    with pytest.raises(Refused, match="cannot be read as MLflow's database"):
        mlflow.connect(f"sqlite:///{tmp_path / 'x.db'}")
    for uri in ("sqlite://", "sqlite:///:memory:"):
        with pytest.raises(Refused):
            mlflow.connect(uri)


def test_the_revisions_are_those_that_mlflow_names(template: Path) -> None:
    known, newest = mlflow.database.revisions()
    with closing(sqlite3.connect(template)) as database:
        assert database.execute("select version_num from alembic_version").fetchone() == (newest,)
    assert len(known) > 40


def test_a_server_that_does_not_answer_is_one_sentence_in_bounded_time(tmp_path: Path) -> None:
    place = outputs(tmp_path / "a")
    began = time.monotonic()
    run = step(
        "register", "--dataset", place / "dataset", "--model", place / "model",
        "--evaluation", place / "evaluation", "--model-name", NAME,
        "--version", tmp_path / "v", check=False, TREFOIL_FAILURE=str(tmp_path / "f"),
        MLFLOW_TRACKING_URI="http://me:hush-hush-hush@127.0.0.1:9",
    )  # fmt: skip
    assert run.returncode == contract.FAILED
    assert time.monotonic() - began < 60
    said = json.loads((tmp_path / "f").read_text())["message"]
    assert "MLflow at http://***@127.0.0.1:9 does not answer" in said
    assert "\n" not in said
    assert "hush" not in run.stderr + said
    assert not (tmp_path / "v").exists()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda p: (p / "model" / "serving.json").unlink(), "no serving.json"),
        (lambda p: (p / "model" / "serving.json").write_text("{}"), "serving.json is damaged"),
        (lambda p: (p / "dataset" / "schema.json").write_text("{}"), "lacks what an earlier step"),
        (lambda p: (p / "evaluation" / "metrics.json").write_text("[]"), "lacks what an earlier"),
        (
            lambda p: (p / "evaluation" / "metrics.json").unlink(),
            "is no evaluation: it has no metrics.json",
        ),
    ],
)
def test_what_earlier_steps_did_not_leave_is_named(
    tmp_path: Path, uri: str, monkeypatch: pytest.MonkeyPatch, damage: Any, words: str
) -> None:
    place = outputs(tmp_path / "a")
    damage(place)
    with pytest.raises(InputError, match=words):
        call(place, uri, monkeypatch)


def test_a_name_that_mlflow_does_not_take_is_refused(
    tmp_path: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "NAME", "a/b:c")
    with pytest.raises(Refused, match="'a/b:c' cannot name a model"):
        call(outputs(tmp_path / "a"), uri, monkeypatch)


def test_a_model_altered_in_the_store_is_not_handed_out(
    tmp_path: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    call(outputs(tmp_path / "a"), uri, monkeypatch)
    [file] = (tmp_path / "ws" / "mlflow" / "mlartifacts").rglob("score.onnx")
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    version = Registry(uri).champion(NAME)
    assert isinstance(version, Version)
    with pytest.raises(ProviderError, match="is not what was registered"):
        Registry(uri).download(version, tmp_path / "got")
