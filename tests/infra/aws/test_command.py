"""``--provider aws``, as a person gives it: the whole command, and the verbs that look after."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.infra.aws.running import PLANS
from tests.pipelines.test_cli import RUN, VERB, cli

AWS = ["--provider", "aws"]
ACCOUNT = [
    word
    for name, value in {
        "region": "eu-west-1",
        "bucket": "ours",
        "pipeline_role_arn": "arn:aws:iam::123456789012:role/p",
        "training_role_arn": "arn:aws:iam::123456789012:role/t",
    }.items()
    for word in ("--set", f"{name}={value}")
]


def _json(workspace: Path, *words: str) -> Any:
    done = cli(workspace, VERB, *words, *AWS, "--rehearse", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_person_without_an_account_rehearses_and_looks_at_it(tmp_path: Path) -> None:
    pipeline = str(PLANS / "stages.py")
    done = cli(tmp_path, RUN, "--pipeline", pipeline, *AWS, "--rehearse", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    run = found["run_id"]
    assert found["state"] == "succeeded"
    assert "costs at most $" in done.stderr
    assert "not proved:" in done.stderr
    assert [each["run_id"] for each in _json(tmp_path, "list")] == [run]
    checks = {check["name"]: check["well"] for check in _json(tmp_path, "doctor")}
    assert checks["identity"]
    assert checks["bucket"]
    assert checks["role"]
    assert list(_json(tmp_path, "reap")) == [run]
    (did,) = _json(tmp_path, "reap", run)
    assert did.startswith("pipeline ")
    assert _json(tmp_path, "reap") == {}
    assert [each["state"] for each in _json(tmp_path, "list")] == ["succeeded"]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], "aws needs the settings region, bucket, pipeline_role_arn, training_role_arn: set "),
        ([*ACCOUNT, "--max-cost", "1"], "this plan may cost up to $24.84, and --max-cost is $1.00"),
        ([*ACCOUNT, "--gpu", "H200:8", "--max-cost", "9"], "nobody knows what this plan may cost"),
        ([*ACCOUNT, "--gpu", "A10"], "aws has none of that name; did you mean A10G?"),
    ],
)
def test_what_is_wrong_costs_one_sentence(tmp_path: Path, flags: list[str], words: str) -> None:
    done = cli(tmp_path, RUN, *AWS, *flags)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "verb",
    ["list", "status", "logs", "cancel", "reap", "why train", "outputs", "report", "endpoints",
     "stop digits-vae", "doctor"],
)  # fmt: skip
def test_no_verb_asks_an_account_that_is_not_named(tmp_path: Path, verb: str) -> None:
    """boto3 would be asked for no region, and answer by a traceback."""
    done = cli(tmp_path, VERB, *verb.split(), *AWS)
    assert done.returncode == 2
    assert "aws needs the settings region, bucket, " in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


def test_a_plan_is_told_with_what_it_costs_by_which_prices(tmp_path: Path) -> None:
    done = cli(tmp_path, VERB, "plan", *AWS, *ACCOUNT, "--gpu", "T4", "--spot")
    assert done.returncode == 0, done.stderr
    assert "  costs at most $" in done.stdout
    assert "prices of us-east-1, not of eu-west-1 as of 20" in done.stderr


def test_without_an_account_a_plan_and_its_price_can_be_seen(tmp_path: Path) -> None:
    """Whoever weighs a cloud has no account in it yet, and wants to know what it would cost."""
    done = cli(tmp_path, VERB, "plan", *AWS, "--gpu", "T4", "--rehearse")
    assert done.returncode == 0, done.stderr
    assert "  costs at most $" in done.stdout


@pytest.mark.parametrize("place", ["local", "kind"])
def test_a_place_whose_runs_leave_nothing_says_so(tmp_path: Path, place: str) -> None:
    done = cli(tmp_path, VERB, "reap", "r-1", "--provider", place)
    assert done.returncode == 2
    assert f"a run on {place} leaves nothing to reap" in done.stderr
