"""A step's secret reaches the step and nothing else: no request, no record, no report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipelines import __main__ as verbs
from pipelines import run
from tests.pipelines.one_step import one_step

SECRET, OTHER = "hunter2-horse-staple", "another-horse-staple"
KEEPS_ITS_LENGTH = "import os, sys; open(sys.argv[1], 'w').write(str(len(os.environ['API_KEY'])))"


def pipeline(place: Path, secret: str, script: str = KEEPS_ITS_LENGTH) -> str:
    """One step with a secret in its environment, as kfp's set_env_variable leaves it."""
    return one_step(place / "pipeline.yaml", script, env={"API_KEY": secret, "MODE": "plain"})


def holding(place: Path, text: str) -> list[Path]:
    """Files below that hold the text."""
    return [each for each in place.rglob("*") if each.is_file() and text in each.read_text()]


def test_a_dry_run_shows_that_there_is_one_and_not_which(
    workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """CI prints the dry run of every pull request for all to read."""
    file = pipeline(tmp_path, SECRET)
    for words in (["run", "--dry-run"], ["plan", "--json"], ["plan"]):
        assert verbs.main([*words, "--pipeline", file]) == 0
        shown = capsys.readouterr().out
        assert SECRET not in shown
        assert words == ["plan"] or '"API_KEY": "***"' in shown
    assert holding(workspace, SECRET) == []


def test_the_step_gets_it_and_no_file_of_the_workspace_does(
    workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A workspace is copied into bug reports, and kept for years."""
    assert run.main(["--pipeline", pipeline(tmp_path, SECRET), "--json"]) == 0
    run_id = json.loads(capsys.readouterr().out)["run_id"]
    step = workspace / "runs" / run_id / "steps" / "first"
    assert (step / "outputs" / "outputs" / "out").read_text() == str(len(SECRET))
    request = json.loads((workspace / "runs" / run_id / "request.json").read_text())
    assert request["plan"]["steps"][0]["env"] == {"API_KEY": "***", "MODE": "plain"}
    assert verbs.main(["report"]) == 0
    assert holding(workspace, SECRET) == []
    assert "plain" in (step / "ingredients.json").read_text()


def test_another_secret_runs_the_step_again_and_why_says_so(
    workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Were only what is kept compared, nothing would seem to have changed."""
    for secret in (SECRET, OTHER):
        assert run.main(["--pipeline", pipeline(tmp_path, secret)]) == 0
    capsys.readouterr()
    assert verbs.main(["why", "first"]) == 0
    assert "a secret changed: its value is not kept" in capsys.readouterr().out
    assert holding(workspace, OTHER) == []


def test_a_failed_run_is_finished_by_the_same_command(workspace: Path, tmp_path: Path) -> None:
    """What is kept of the request lacks the secret; the run must take it from the pipeline."""
    script = f"{KEEPS_ITS_LENGTH}; sys.exit(not os.path.exists({str(tmp_path / 'go')!r}))"
    command = ["--pipeline", pipeline(tmp_path, SECRET, script)]
    assert run.main(command) == 1
    (tmp_path / "go").touch()
    assert run.main(command) == 0
    (made,) = (workspace / "runs").glob("*/steps/first/outputs/outputs/out")
    assert made.read_text() == str(len(SECRET))
