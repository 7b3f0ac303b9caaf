"""``--provider gcp``, as a person gives it: the whole command, and the verbs that look after."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.infra.gcp.running import PLANS
from tests.pipelines.test_cli import RUN, VERB, cli

GCP = ["--provider", "gcp"]
ACCOUNT = [
    word
    for name, value in {
        "project": "ours",
        "region": "europe-west4",
        "bucket": "ours",
        "service_account": "trefoil-training@ours.iam.gserviceaccount.com",
        "image_tag": "1",
    }.items()
    for word in ("--set", f"{name}={value}")
]


def _json(workspace: Path, *words: str) -> Any:
    done = cli(workspace, VERB, *words, *GCP, "--rehearse", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_person_without_an_account_rehearses_and_looks_at_it(tmp_path: Path) -> None:
    pipeline = str(PLANS / "stages.py")
    done = cli(tmp_path, RUN, "--pipeline", pipeline, *GCP, "--rehearse", "--json")
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
    assert checks["vertex"]
    assert _json(tmp_path, "reap") == {}  # what has ended costs nothing, and stays
    did = _json(tmp_path, "reap", run, "--data")
    assert did[0].startswith("pipeline ")
    assert _json(tmp_path, "list") == []


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], "gcp needs the settings project, region, bucket, service_account: set "),
        ([*ACCOUNT, "--max-cost", "1"], "this plan may cost up to $47.20, and --max-cost is $1.00"),
        ([*ACCOUNT, "--gpu", "H200:8", "--max-cost", "9"], "nobody knows what this plan may cost"),
        ([*ACCOUNT, "--gpu", "A10"], "gcp has none of that name; did you mean A100?"),
    ],
)
def test_what_is_wrong_costs_one_sentence(tmp_path: Path, flags: list[str], words: str) -> None:
    done = cli(tmp_path, RUN, *GCP, *flags)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "verb",
    ["list", "status", "logs", "cancel", "reap", "why train", "outputs", "report", "endpoints",
     "stop digits-vae", "doctor"],
)  # fmt: skip
def test_no_verb_asks_an_account_that_is_not_named(tmp_path: Path, verb: str) -> None:
    """Google's client would be led to a host without a region, and answer by a traceback."""
    done = cli(tmp_path, VERB, *verb.split(), *GCP)
    assert done.returncode == 2
    assert "gcp needs the settings project, region, bucket, " in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


def test_a_plan_is_told_with_what_it_costs_by_which_prices(tmp_path: Path) -> None:
    done = cli(tmp_path, VERB, "plan", *GCP, *ACCOUNT, "--gpu", "T4", "--spot")
    assert done.returncode == 0, done.stderr
    assert "  costs at most $" in done.stdout
    assert "prices of us-central1, not of europe-west4 as of 20" in done.stderr


def test_without_an_account_a_plan_and_its_price_can_be_seen(tmp_path: Path) -> None:
    """Whoever weighs a cloud has no account in it yet, and wants to know what it would cost."""
    done = cli(tmp_path, VERB, "plan", *GCP, "--gpu", "T4", "--rehearse")
    assert done.returncode == 0, done.stderr
    assert "  costs at most $" in done.stdout
