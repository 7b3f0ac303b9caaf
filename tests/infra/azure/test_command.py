"""``--provider azure``, as a person gives it: the whole command, and the verbs that look after."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.infra.azure.running import PLANS
from tests.pipelines.test_cli import RUN, VERB, cli

AZURE = ["--provider", "azure"]
ACCOUNT = [
    word
    for name, value in {
        "subscription": "11111111-1111-4111-8111-111111111111",
        "resource_group": "ours",
        "ml_workspace": "ours",
        "region": "westeurope",
        "storage_account": "ours",
        "container": "trefoil",
        "datastore": "trefoil",
        "registry": "ours.azurecr.io",
        "serving_identity": "/subscriptions/1/of/endpoints",
    }.items()
    for word in ("--set", f"{name}={value}")
]


def _json(workspace: Path, *words: str) -> Any:
    done = cli(workspace, VERB, *words, *AZURE, "--rehearse", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.timeout(900)
def test_a_person_without_an_account_rehearses_and_looks_at_it(tmp_path: Path) -> None:
    pipeline = str(PLANS / "stages.py")
    done = cli(tmp_path, RUN, "--pipeline", pipeline, *AZURE, "--rehearse", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    run = found["run_id"]
    assert found["state"] == "succeeded"
    assert "costs at most $" in done.stderr
    assert "not proved:" in done.stderr
    assert [each["run_id"] for each in _json(tmp_path, "list")] == [run]
    checks = {check["name"]: check["well"] for check in _json(tmp_path, "doctor")}
    assert checks["workspace"]
    assert checks["storage"]
    assert checks["datastore"]
    assert _json(tmp_path, "reap") == {}
    (did, *_) = _json(tmp_path, "reap", run, "--data")
    assert f"/runs/{run}/ removed, " in did
    assert _json(tmp_path, "list") == []


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], "azure needs the settings subscription, resource_group, ml_workspace, region, "),
        ([*ACCOUNT, "--max-cost", "1"], "this plan may cost up to $45.70, and --max-cost is $1.00"),
        ([*ACCOUNT, "--gpu", "A10"], "azure has none of that name"),
    ],
)
def test_what_is_wrong_costs_one_sentence(tmp_path: Path, flags: list[str], words: str) -> None:
    done = cli(tmp_path, RUN, *AZURE, *flags)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "verb",
    ["list", "status", "logs", "cancel", "reap", "why train", "outputs", "report", "endpoints",
     "stop digits-vae", "doctor"],
)  # fmt: skip
def test_no_verb_asks_an_account_that_is_not_named(tmp_path: Path, verb: str) -> None:
    """Azure would be asked for a workspace without a name, and answer by a page."""
    done = cli(tmp_path, VERB, *verb.split(), *AZURE)
    assert done.returncode == 2
    assert "azure needs the settings subscription, resource_group, " in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


def test_a_plan_is_told_with_what_it_costs_by_which_prices(tmp_path: Path) -> None:
    done = cli(tmp_path, VERB, "plan", *AZURE, *ACCOUNT, "--gpu", "T4", "--spot")
    assert done.returncode == 0, done.stderr
    assert "  costs at most $" in done.stdout
    assert "prices of eastus, not of westeurope as of 20" in done.stderr


def test_without_an_account_a_plan_and_its_price_can_be_seen(tmp_path: Path) -> None:
    """Whoever weighs a cloud has no account in it yet, and wants to know what it would cost."""
    done = cli(tmp_path, VERB, "plan", *AZURE, "--gpu", "T4", "--rehearse")
    assert done.returncode == 0, done.stderr
    assert "  costs at most $" in done.stdout
