"""A command that is killed between any two requests: nothing is lost, nothing runs twice."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from infra.errors import InputError
from infra.gcp import client, making
from infra.gcp.names import RUN
from infra.plan import Plan, RunRef
from tests.infra.cloud.killing import died, dying
from tests.infra.gcp.running import Stood, document, gcp, plan_of

_KINDS = {"pipeline": "PipelineJob", "job": "CustomJob"}
_POINTS = 4
"""Requests that change something, in the smallest run: else the test tries nothing."""


def killed(number: int) -> AbstractContextManager[None]:
    """Die before the so many-th request that changes something."""
    from google.auth.transport.requests import AuthorizedSession

    def asks(method: str, url: str, *_: Any) -> bool:
        return method == "GET" or url.partition("?")[0].endswith(("entries:list", "/token"))

    return dying(AuthorizedSession, "request", asks, number)


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the stand-in has made it lists at once."""
    monkeypatch.setattr(making, "_SETTLED", 0.2)


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Plan]:
    """A pipeline with an exit handler, and one job, both quick."""
    found = document("stages", tmp_path_factory.getbasetemp().parent / "gcp-ir")
    plan = plan_of(found)
    two = plan._replace(steps=tuple(s for s in plan.steps if s.name in ("make", "judge", "last")))
    one = plan._replace(steps=(plan.step("make"),))
    return {"pipeline": two, "job": one}


def _dies(stood: Stood, plan: Plan, run_id: str, number: int) -> bool:
    """Submit and watch a run until it is killed at a request; False where that never came."""
    return died(killed(number), lambda: stood.ran(plan, run_id))


@pytest.mark.parametrize("kind", ["pipeline", "job"])
def test_the_same_command_again_finishes_what_a_killed_one_began(
    plans: dict[str, Plan], kind: str, tmp_path: Path
) -> None:
    """At every request: one run, one exit handler, and it ends well."""
    with gcp(tmp_path) as stood:
        number = 1
        while _dies(stood, plans[kind], f"r-{number}", number):
            assert stood.ran(plans[kind], f"r-{number}")[-1].state == "succeeded", number
            number += 1
        assert number > _POINTS
        runs = {f"r-{each}" for each in range(1, number + 1)}
        started = [each["body"]["labels"][RUN] for each in stood.kept(_KINDS[kind])]
        assert sorted(started) == sorted(runs)


@pytest.mark.parametrize("kind", ["pipeline", "job"])
def test_whatever_a_killed_command_left_is_known_and_can_be_reaped(
    plans: dict[str, Plan], kind: str, tmp_path: Path
) -> None:
    """A job that nobody knows of is billed until its timeout."""
    with gcp(tmp_path) as stood:
        number = 1
        while _dies(stood, plans[kind], run := f"r-{number}", number):
            live = _live(stood, run)
            known = [each.run_id for each in client.list_runs(stood.settings)]
            assert run in known or not live, f"{run} runs, and nobody knows it"
            if run in known:
                client.reap(RunRef("gcp", run), stood.settings)
                assert client.status(RunRef("gcp", run), stood.settings).state in (
                    "cancelled", "succeeded",
                )  # fmt: skip
            assert _live(stood, run) == []
            number += 1
        assert number > _POINTS


def _live(stood: Stood, run_id: str) -> list[str]:
    """What the project has of a run that goes on."""
    return [words for run, left in client.left(stood.settings).items() if run == run_id
            for words in left]  # fmt: skip


def test_data_stay_unless_told(plans: dict[str, Plan], tmp_path: Path) -> None:
    """A run that is reaped may have trained for a week."""
    run = RunRef("gcp", "r-1")
    with gcp(tmp_path) as stood:
        stood.ran(plans["pipeline"])
        assert client.reap(run, stood.settings) == []
        assert client.outputs(run, stood.settings)["make"]["size"] == 3
        did = client.reap(run, stood.settings, data=True)
        assert [each.split(" ")[0] for each in did] == [
            "pipeline", "gs://example-bucket/trefoil/runs/r-1/",
            "gs://example-bucket/trefoil/records/r-1/",
        ]  # fmt: skip
        assert stood.kept("PipelineJob") == []
        with pytest.raises(InputError, match="there is no run r-1"):
            client.status(run, stood.settings)
