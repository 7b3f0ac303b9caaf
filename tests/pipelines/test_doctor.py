"""Doctor tells what a run would miss, and looks for what is really used."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from pipelines import cli, doctor

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


def test_a_workspace_that_cannot_be_written_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root writes anywhere, so the way is barred by a file."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("TREFOIL_WORKSPACE", str(tmp_path / "file" / "w"))
    code, checks = look(capsys)
    assert code == cli.WRONG
    assert "cannot be written" in checks["workspace"]["words"]


def test_wrong_settings_are_told(
    workspace: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "s.toml"
    file.write_bytes(b"\xff\xfe")
    code, checks = look(capsys, "--settings", str(file))
    assert code == cli.WRONG
    assert checks["settings"]["words"] == f"the settings {file} are not UTF-8 text"
    assert "workspace" not in checks
