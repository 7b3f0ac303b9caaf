"""A command that is killed between any two requests: nothing is lost, nothing runs twice."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from infra.azure import client
from infra.errors import InputError
from infra.plan import Plan, RunRef
from tests.infra.azure.running import Stood, azure, document, plan_of, some
from tests.infra.cloud.killing import died, dying

_OVER = ("Completed", "Failed", "Canceled")
_POINTS = 8
"""Requests that change something, in the smallest run: else the test tries nothing."""


def killed(number: int) -> AbstractContextManager[None]:
    """Die before the so many-th request that changes something."""
    from azure.core.pipeline.transport import RequestsTransport

    def asks(request: Any) -> bool:
        return request.method in ("GET", "HEAD") or "login." in request.url

    return dying(RequestsTransport, "send", asks, number)


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Plan]:
    """A pipeline with an exit handler, and one job with one, both quick."""
    found = document("stages", tmp_path_factory.getbasetemp().parent / "azure-ir")
    plan = plan_of(found)
    two = some(plan, "make", "judge", "last")
    one = some(plan, "make", "last")
    return {"pipeline": two, "job": one}


def _dies(stood: Stood, plan: Plan, run_id: str, number: int) -> bool:
    """Submit and watch a run until it is killed at a request; False where that never came."""
    return died(killed(number), lambda: stood.ran(plan, run_id))


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", ["pipeline", "job"])
def test_the_same_command_again_finishes_what_a_killed_one_began(
    plans: dict[str, Plan], kind: str, tmp_path: Path
) -> None:
    """At every request: one run, one exit handler, and it ends well."""
    with azure(tmp_path) as stood:
        number = 1
        while _dies(stood, plans[kind], f"r-{number}", number):
            assert stood.ran(plans[kind], f"r-{number}")[-1].state == "succeeded", number
            number += 1
        assert number > _POINTS
        runs = {f"r-{each}" for each in range(1, number + 1)}
        main = "" if kind == "pipeline" else "-make"
        wanted = [f"{run}{end}" for run in runs for end in (main, "-last")]
        assert stood.started() == sorted(wanted)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", ["pipeline", "job"])
def test_whatever_a_killed_command_left_is_known_and_can_be_reaped(
    plans: dict[str, Plan], kind: str, tmp_path: Path
) -> None:
    """A job that nobody knows of is billed until its timeout."""
    with azure(tmp_path) as stood:
        number = 1
        while _dies(stood, plans[kind], run := f"r-{number}", number):
            live = _live(stood, run)
            known = [each.run_id for each in client.list_runs(stood.settings)]
            assert run in known or not live, f"{run} runs, and nobody knows it"
            if run in known:
                client.reap(RunRef("azure", run), stood.settings)
                assert client.status(RunRef("azure", run), stood.settings).state in (
                    "cancelled", "succeeded",
                )  # fmt: skip
            assert _live(stood, run) == []
            number += 1
        assert number > _POINTS


def _live(stood: Stood, run_id: str) -> list[str]:
    """What the workspace has of a run that goes on."""
    return [
        each["name"]
        for each in stood.jobs()
        if each["status"] not in _OVER and each["properties"]["tags"].get("trefoil.run") == run_id
    ]


def test_data_stay_unless_told(plans: dict[str, Plan], tmp_path: Path) -> None:
    """A run that is reaped may have trained for a week."""
    run = RunRef("azure", "r-1")
    with azure(tmp_path) as stood:
        stood.ran(plans["pipeline"])
        assert client.left(stood.settings) == {}
        assert client.reap(run, stood.settings) == []
        assert client.outputs(run, stood.settings)["make"]["size"] == 3
        did = client.reap(run, stood.settings, data=True)
        place = "azureml://datastores/trefoil_data/paths/trefoil"
        assert [each.split(" ")[0] for each in did] == [
            f"{place}/runs/r-1/", f"{place}/records/r-1/",
        ]  # fmt: skip
        with pytest.raises(InputError, match="there is no run r-1"):
            client.status(run, stood.settings)


def test_what_goes_on_is_found_by_its_tag_and_ended(tmp_path: Path) -> None:
    """Whoever pays sees the runs that nobody watches any more."""
    plan = plan_of(document("stages", tmp_path), how="wait")
    with azure(tmp_path) as stood:
        run = stood.submitted(plan)
        assert client.left(stood.settings) == {"r-1": ["pipeline job r-1"]}
        assert "job r-1 ended" in client.reap(run, stood.settings)
        assert client.left(stood.settings) == {}
        assert client.status(run, stood.settings).state == "cancelled"
