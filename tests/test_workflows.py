"""Workflows and the scripts they call are well formed: neither can be run on this machine."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines import __main__ as pipelines
from pipelines import cli

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
LIVE = sorted((ROOT / "tests" / "live").glob("*.sh"))
BIN = Path(sys.executable).parent


def run(*argv: str | Path) -> None:
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_a_workflow_keeps_to_githubs_schema(file: Path) -> None:
    """GitHub tells of a misspelt key only once it is on the main branch."""
    run(BIN / "check-jsonschema", "--builtin-schema", "vendor.github-workflows", file)


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_a_workflow_has_no_known_weakness(file: Path) -> None:
    """Actions by tag, tokens with more rights than needed, text that becomes a command."""
    run(BIN / "zizmor", "--offline", "--no-progress", "--persona=pedantic", file)


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_what_a_workflow_runs_is_there(file: Path) -> None:
    """What no test runs (see test_workflow_runs) is at least a target or a script of ours."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for command in re.findall(r"run: (make .+|\S*\.ci/run|tests/\S+)", file.read_text("utf-8")):
        program, *words = shlex.split(command)
        if program == "make":
            assert re.search(rf"^{words[0]}:", makefile, re.MULTILINE), command
        else:
            assert (ROOT / program).stat().st_mode & 0o111, command


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_a_workflow_may_do_nothing_that_it_does_not_ask_for(file: Path) -> None:
    """By action of a fixed commit, without rights, without a token left behind in the checkout."""
    found = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert found["permissions"] == {}
    assert "pull_request_target" not in found[True], "YAML reads the key on as true"
    for job in found["jobs"].values():
        assert job["permissions"].keys() <= {"contents", "id-token"}
        assert job["permissions"]["contents"] == "read"
        assert ("id-token" in job["permissions"]) <= ("environment" in job), "clouds ask for it"
        for step in job["steps"]:
            action = step.get("uses", "")
            assert re.fullmatch(r"([\w-]+/[\w-]+@[0-9a-f]{40})?", action), action
            if action.startswith("actions/checkout"):
                assert step["with"]["persist-credentials"] is False
            assert "${{" not in step.get("run", ""), "a value that becomes part of a command"


@pytest.mark.parametrize("file", LIVE, ids=lambda file: file.name)
def test_a_live_script_is_shell_and_calls_verbs_that_there_are(file: Path) -> None:
    """It is run rarely and takes an hour: a flag that was renamed must be found here."""
    run("bash", "-n", file)
    calls = re.findall(r"^ *trefoil (.+?)(?: >.*| \|\|.*)?$", file.read_text("utf-8"), re.MULTILINE)
    assert len(calls) > 5
    for call in calls:
        verb, *words = shlex.split(call)
        parser = cli.Parser()
        pipelines._load(pipelines.VERBS[verb][1])(parser)
        parser.parse_args(words)


def workflow(name: str) -> Any:
    return yaml.safe_load((ROOT / ".github" / "workflows" / f"{name}.yml").read_text())


LOGINS = {
    "aws-actions/configure-aws-credentials": ("aws", "AWS_ROLE_ARN"),
    "google-github-actions/auth": ("gcp", "GCP_SERVICE_ACCOUNT"),
    "azure/login": ("azure", "AZURE_CLIENT_ID"),
}


def test_the_cheapest_signs_in_to_every_cloud_that_is_set_up() -> None:
    """Without a login each place would be asked for its runs, and none would answer."""
    document = workflow("retrain")
    steps = document["jobs"]["retrain"]["steps"]
    found = {step["uses"].partition("@")[0]: step.get("if") for step in steps if "uses" in step}
    assert {name: found[name] for name in LOGINS} == {
        name: f"env.PROVIDER == '{place}' || (env.PROVIDER == 'cheapest' && vars.{who})"
        for name, (place, who) in LOGINS.items()
    }


def test_a_promotion_does_not_drop_one_of_another_model() -> None:
    """While one waits for its approval, GitHub keeps a single other of the same group."""
    assert "inputs.model_name" in workflow("promote")["concurrency"]["group"]
