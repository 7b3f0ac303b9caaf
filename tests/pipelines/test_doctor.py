"""Doctor tells what a run would miss, and looks for what is really used."""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import json
import os
import re
import shutil
import socket
import sqlite3
import tomllib
from pathlib import Path
from typing import Any

import pytest

from components import spool
from components.delivery import Delivery
from pipelines import cli, doctor
from tests.tracked import made_template, made_uri  # noqa: F401  fixtures work by being here

ROOT = Path(__file__).parent.parent.parent


def look(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    parser = argparse.ArgumentParser()
    doctor.configure(parser)
    code = doctor.doctor(parser.parse_args([*words, "--json"]))
    return code, {check["name"]: check for check in json.loads(capsys.readouterr().out)}


def test_a_fit_machine_is_well(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, checks = look(capsys)
    assert (code, all(check["well"] for check in checks.values() if check["needed"])) == (0, True)
    assert str(workspace) in checks["workspace"]["words"]


@pytest.mark.parametrize("extra", doctor._LIBRARIES)
def test_it_looks_for_what_the_extra_installs(extra: str) -> None:
    """A library that was given up would be missed for ever on a machine that is fit."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        wanted = tomllib.load(file)["project"]["optional-dependencies"][extra]
    packages = {re.split(r"[=\[ ;]", line)[0] for line in wanted}
    providers = importlib.metadata.packages_distributions()
    for library in doctor._LIBRARIES[extra]:
        assert packages & set(providers[library]), library


def test_what_is_missing_is_told_with_what_to_do(
    workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_LIBRARIES", {"train": ("json", "no_such_library")})
    code, checks = look(capsys)
    assert code == cli.WRONG
    assert checks["train"]["words"] == "no_such_library missing: make setup"


def test_a_program_that_is_only_nice_to_have_decides_nothing(
    workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    code, checks = look(capsys)
    assert code == cli.DONE
    assert not checks["docker"]["well"]


DOWN = "echo 'Cannot connect to the Docker daemon at unix:///x. Is it running?' >&2; exit 1"


@pytest.mark.parametrize(
    ("script", "runner", "mark", "words"),
    [
        ("echo 28.2.2", "docker", "✓", "28.2.2, by /"),
        (DOWN, "process", "!", "Cannot connect to the Docker daemon at unix:///x.*start Docker"),
        (DOWN, "docker", "✗", "Cannot connect to the Docker daemon at unix:///x.*start Docker"),
    ],
)
def test_docker_is_well_where_its_daemon_answers(
    workspace: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    runner: str,
    mark: str,
    words: str,
) -> None:
    """The program alone builds and runs nothing."""
    (tmp_path / "docker").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("TREFOIL_RUNNER", runner)
    parser = argparse.ArgumentParser()
    doctor.configure(parser)
    assert doctor.doctor(parser.parse_args([])) == (cli.WRONG if mark == "✗" else cli.DONE)
    assert re.search(rf"^{mark} docker +{words}", capsys.readouterr().out, re.MULTILINE)


def test_a_workspace_that_cannot_be_written_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root writes anywhere, so the way is barred by a file."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("TREFOIL_WORKSPACE", str(tmp_path / "file" / "w"))
    code, checks = look(capsys)
    assert code == cli.WRONG
    assert "cannot be written" in checks["workspace"]["words"]


def left_behind(workspace: Path, name: str, address: str, state: str) -> Path:
    """The spool of a run that has ended."""
    folder = workspace / "tracking" / name
    folder.mkdir(parents=True)
    facts = spool.run_facts(name, {"MLFLOW_TRACKING_URI": address}, alone=False)
    spool.append(folder / "_run.jsonl", {"run": facts, "at": spool.now()})
    spool.append(folder / "_run.jsonl", {"finish": state, "at": spool.now()})
    return folder


def test_what_could_not_be_sent_is_named_with_where_it_goes(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    left_behind(workspace, "a-1", "http://u:p@one.example", "succeeded")
    left_behind(workspace, "b-1", "http://two.example", "failed")
    left_behind(workspace, "c-1", "http://two.example", "failed")
    code, checks = look(capsys)
    assert code == cli.DONE
    assert not checks["tracking"]["well"]
    assert checks["tracking"]["words"] == (
        "a-1 not sent to http://***@one.example yet; b-1, c-1 not sent to http://two.example yet: "
        "once that answers, the next run with its tracking_uri sends it"
    )


def test_a_failed_runs_spool_that_is_sent_is_no_complaint(
    workspace: Path, uri: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is kept for the run to be resumed, and would be complained of for ever."""
    folder = left_behind(workspace, "a-1", uri, "failed")
    assert "not sent" in look(capsys)[1]["tracking"]["words"]
    assert Delivery(folder, uri).pump()
    assert folder.is_dir()
    assert look(capsys)[1]["tracking"]["words"] == "all is sent"


def test_wrong_settings_are_told(
    workspace: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "s.toml"
    file.write_bytes(b"\xff\xfe")
    code, checks = look(capsys, "--settings", str(file))
    assert code == cli.WRONG
    assert checks["settings"]["words"] == f"the settings {file} are not UTF-8 text"
    assert "workspace" not in checks


def test_a_database_of_another_mlflow_is_told_before_a_model_is_trained(
    workspace: Path, template: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = workspace / "mlflow" / "mlflow.db"
    file.parent.mkdir(parents=True)
    shutil.copyfile(template, file)
    assert look(capsys)[1]["registry"]["words"] == str(file)
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.execute("update alembic_version set version_num = 'ffffffffffff'")
        database.commit()
    code, checks = look(capsys)
    assert (code, checks["registry"]["well"]) == (2, False)
    assert "made by a newer MLflow (schema ffffffffffff" in checks["registry"]["words"]


def test_a_server_that_does_not_answer_is_told_before_a_run_needs_it(
    workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The steps champion and register fail without it: the last after all the training."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.socket() as taken:  # bound and not listened to: it refuses
        taken.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("TREFOIL_TRACKING_URI", uri)
        code, checks = look(capsys)
    assert (code, checks["registry"]["well"]) == (2, False)
    assert checks["registry"]["words"].startswith(f"MLflow at {uri} does not answer")
