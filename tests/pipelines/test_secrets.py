"""A step's secret reaches the step and nothing else: no request, no record, no report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

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


HANDED_ON = {
    "api_key": "hunter2",  # named so by the pipeline, and handed on as ``key`` and in ``header``
    "plain": "horse-staple",  # named so by the component alone, which calls it ``token``
    "where": "http://me:where-horse@host:80/x",  # told by its form alone
}
WRITTEN = {
    "literal": ["--db-password=literal-horse"],
    "option": ["--auth", "option-horse"],
    "header": ["-H", "Authorization: Bearer header-horse"],
    "address": ["https://me:address-horse@host/x"],
}
SECRETS = [
    *HANDED_ON.values(),
    "where-horse",
    *(words[-1].split("@")[0][-10:] for words in WRITTEN.values()),
]
NAMES = ("key", "token", "where", "header")
WRITES_ALL = "import sys; open(sys.argv[1], 'w').write(str([len(word) for word in sys.argv[2:]]))"


def handing_on(place: Path) -> list[str]:
    """The words of a run whose step is given secrets in every way there is."""
    file = Path(one_step(place / "pipeline.yaml", WRITES_ALL))
    document = yaml.safe_load(file.read_text())
    text = {"parameterType": "STRING"}
    document["root"]["inputDefinitions"] = {"parameters": dict.fromkeys(HANDED_ON, text)}
    component = document["components"]["comp-first"]
    component["inputDefinitions"] = {"parameters": dict.fromkeys(NAMES, text)}
    header = "Key {{$.inputs.parameters['pipelinechannel--api_key']}}"
    document["root"]["dag"]["tasks"]["first"]["inputs"] = {
        "parameters": {
            "key": {"componentInputParameter": "api_key"},
            "token": {"componentInputParameter": "plain"},
            "where": {"componentInputParameter": "where"},
            "header": {"runtimeValue": {"constant": header}},
            "pipelinechannel--api_key": {"componentInputParameter": "api_key"},
        }
    }
    words = [f"{{{{$.inputs.parameters['{name}']}}}}" for name in NAMES]
    words += [word for each in WRITTEN.values() for word in each]
    document["deploymentSpec"]["executors"]["exec-first"]["container"]["command"] += words
    file.write_text(yaml.safe_dump(document))
    given = [word for name, value in HANDED_ON.items() for word in ("--param", f"{name}={value}")]
    return ["--pipeline", str(file), *given]


def test_a_secret_that_is_handed_on_is_kept_nowhere(
    workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the pipeline calls api_key, its component may well call key."""
    words = handing_on(tmp_path)
    assert run.main([*words, "--json"]) == 0
    (made,) = (workspace / "runs").glob("*/steps/first/outputs/outputs/out")
    lengths = [*map(len, HANDED_ON.values()), len("Key hunter2")]
    assert json.loads(made.read_text())[:4] == lengths, "the step must be given them"
    assert verbs.main(["report"]) == verbs.main(["why", "first"]) == 0
    shown = capsys.readouterr()
    for secret in SECRETS:
        assert holding(workspace, secret) == []
        assert secret not in shown.out + shown.err
    kept = json.loads(next(workspace.rglob("request.json")).read_text())
    shown_of = {"api_key": "***", "plain": "***", "where": "http://***@host:80/x"}
    assert kept["plan"]["parameters"] == shown_of


@pytest.mark.parametrize("place", ["local", "kind"])
def test_a_secret_that_is_handed_on_is_not_shown(
    workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    words = [*handing_on(tmp_path), "--provider", place]
    for looking in (["run", "--dry-run"], ["plan"], ["plan", "--json"]):
        assert verbs.main([*looking, *words]) == 0
        shown = capsys.readouterr()
        assert [each for each in SECRETS if each in shown.out + shown.err] == []
    assert not workspace.exists() or [s for s in SECRETS if holding(workspace, s)] == []


@pytest.mark.parametrize(
    ("name", "value", "another"),
    [("api_key", "hunter2", "another"), ("where", "http://me:one@host", "http://me:two@host")],
)
def test_another_secret_that_is_handed_on_runs_the_step_again(
    workspace: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    value: str,
    another: str,
) -> None:
    words = handing_on(tmp_path)
    for secret in (value, another):
        assert run.main([*words, "--param", f"{name}={secret}"]) == 0
    capsys.readouterr()
    assert verbs.main(["why", "first"]) == 0
    assert "a secret changed: its value is not kept" in capsys.readouterr().out


def test_neither_a_mistake_nor_a_failure_shows_one(
    workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Errors quote what they were given."""
    file = Path(one_step(tmp_path / "p.yaml", "import sys; sys.exit('no Bearer failing-horse')"))
    document = yaml.safe_load(file.read_text())
    pin = {"parameters": {"pin_password": {"parameterType": "NUMBER_INTEGER", "defaultValue": 1}}}
    document["root"]["inputDefinitions"] = pin
    file.write_text(yaml.safe_dump(document))
    assert run.main(["--pipeline", str(file), "--param", "pin_password=typed-horse"]) == 2
    assert run.main(["--pipeline", str(file)]) == 1
    assert run.main(["--set", "tracking_uri=ftp://me:address-horse@h", "--dry-run"]) == 2
    shown = capsys.readouterr()
    assert "pin_password must be a whole number, and *** is not" in shown.err
    assert "no Bearer ***" in shown.err
    assert "-horse" not in shown.out + shown.err
    events = next(workspace.rglob("events.jsonl"))
    assert "Bearer ***" in events.read_text()
    assert "-horse" not in events.read_text()
