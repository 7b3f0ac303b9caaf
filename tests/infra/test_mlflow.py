"""MLflow's database: made whole, refused where it is of another version, one run of one run."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from infra import mlflow
from infra.errors import InputError as Refused
from tests.registered import NAME
from tests.spooled import RUN
from tests.tracked import made_template, made_uri, outputs  # noqa: F401  fixtures work by being here


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


def test_a_run_that_another_sender_made_meanwhile_is_shared(uri: str) -> None:
    """On a server there is no lock: both make one, both take the older, the other one goes."""
    client = mlflow.connect(uri)
    where = client.create_experiment("race")
    real = client.search_runs
    made: list[str] = []

    def search(*arguments: Any, **named: Any) -> Any:
        found = real(*arguments, **named)
        if not made and not found:  # another one makes it just after we have looked
            tags = {mlflow.RUN_ID: RUN, mlflow.KIND: "run"}
            made.append(client.create_run(where, start_time=1, tags=tags).info.run_id)
        return found

    client.search_runs = search  # type: ignore[method-assign]
    address = "http://server.example"
    assert mlflow.pipeline_run(client, address, where, RUN, {}) == made[0]
    assert [run.info.run_id for run in real([where])] == made


def test_on_one_machine_whoever_comes_first_makes_the_run(uri: str) -> None:
    """The sender and register, say; each with a client of its own."""
    client = mlflow.connect(uri)
    where = client.create_experiment("race")
    together = threading.Barrier(6)

    def make(_: int) -> str:
        together.wait()
        return mlflow.pipeline_run(client, uri, where, RUN, {})

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(make, range(6)))) == 1
    assert len(client.search_runs([where])) == 1
