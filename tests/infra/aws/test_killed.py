"""A command that is killed between any two requests: nothing is lost, nothing runs twice."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from botocore.awsrequest import AWSPreparedRequest

from infra.aws import client
from infra.errors import InputError
from infra.plan import Plan, RunRef
from tests.infra.aws.running import Stood, aws, document, plan_of
from tests.infra.cloud.killing import died, dying

_GOING_ON = ("InProgress", "Stopping", "Executing")


_POINTS = 8
"""Requests that change something, in the smallest run: else the test tries nothing."""


def killed(number: int) -> AbstractContextManager[None]:
    """Die before the so many-th request that changes something."""
    from botocore.httpsession import URLLib3Session

    def asks(request: AWSPreparedRequest) -> bool:
        target = request.headers.get("X-Amz-Target", b"").decode()
        return request.method == "GET" or re.search(r"\.(Describe|List|Get)", target) is not None

    return dying(URLLib3Session, "send", asks, number)


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Plan]:
    """A pipeline with an exit handler, and one job with one, both quick."""
    found = document("stages", tmp_path_factory.getbasetemp().parent / "aws-ir")
    plan = plan_of(found)
    two = plan._replace(steps=tuple(s for s in plan.steps if s.name in ("make", "judge", "last")))
    one = plan._replace(steps=tuple(s for s in plan.steps if s.name in ("make", "last")))
    return {"pipeline": two, "job": one}


def _dies(stood: Stood, plan: Plan, run_id: str, number: int) -> bool:
    """Submit and watch a run until it is killed at a request; False where that never came."""
    return died(killed(number), lambda: stood.ran(plan, run_id))


@pytest.mark.parametrize("kind", ["pipeline", "job"])
def test_the_same_command_again_finishes_what_a_killed_one_began(
    plans: dict[str, Plan], kind: str, tmp_path: Path
) -> None:
    """At every request: one run, one exit handler, and it ends well."""
    with aws(tmp_path) as stood:
        number = 1
        while _dies(stood, plans[kind], f"r-{number}", number):
            assert stood.ran(plans[kind], f"r-{number}")[-1].state == "succeeded", number
            number += 1
        assert number > _POINTS
        runs = {f"r-{each}" for each in range(1, number + 1)}
        handlers = [e["name"] for e in stood.kept("Processing") if e["name"].endswith("-last")]
        assert sorted(handlers) == sorted(f"{run}-last" for run in runs)
        if kind == "pipeline":
            started = [each["pipeline"] for each in stood.kept("PipelineExecution")]
            assert sorted(started) == sorted(runs)
        else:
            jobs = [e["name"] for e in stood.kept("Processing") if "-make" in e["name"]]
            assert sorted(jobs) == sorted(f"{run}-make" for run in runs)


@pytest.mark.parametrize("kind", ["pipeline", "job"])
def test_whatever_a_killed_command_left_is_known_and_can_be_reaped(
    plans: dict[str, Plan], kind: str, tmp_path: Path
) -> None:
    """A job that nobody knows of is billed until its timeout."""
    with aws(tmp_path) as stood:
        number = 1
        while _dies(stood, plans[kind], run := f"r-{number}", number):
            live = _live(stood, run)
            known = [each.run_id for each in client.list_runs(stood.settings)]
            assert run in known or not live, f"{run} runs, and nobody knows it"
            if run in known:
                client.reap(RunRef("aws", run), stood.settings)
                assert client.status(RunRef("aws", run), stood.settings).state in (
                    "cancelled", "succeeded",
                )  # fmt: skip
            assert _live(stood, run) == []
            number += 1
        assert number > _POINTS


def _live(stood: Stood, run_id: str) -> list[str]:
    """What the account has of a run that goes on, and its pipeline."""
    jobs = [
        each["name"]
        for kind in ("Training", "Processing")
        for each in stood.kept(kind)
        if each["status"] in _GOING_ON and each["tags"]["trefoil:run"] == run_id
    ]
    executions = [
        each["pipeline"]
        for each in stood.kept("PipelineExecution")
        if each["status"] in _GOING_ON and each["pipeline"] == run_id
    ]
    return jobs + executions + [e["name"] for e in stood.kept("Pipeline") if e["name"] == run_id]


def test_data_stay_unless_told(plans: dict[str, Plan], tmp_path: Path) -> None:
    """A run that is reaped may have trained for a week."""
    run = RunRef("aws", "r-1")
    with aws(tmp_path) as stood:
        stood.ran(plans["pipeline"])
        assert client.left(stood.settings) == {"r-1": ["pipeline r-1"]}
        did = client.reap(run, stood.settings)
        assert did == ["pipeline r-1 removed"]
        assert client.left(stood.settings) == {}
        assert client.outputs(run, stood.settings)["make"]["size"] == 3
        assert client.reap(run, stood.settings) == []
        did = client.reap(run, stood.settings, data=True)
        assert [each.split(" ")[0] for each in did] == [
            "s3://example-bucket/trefoil/runs/r-1/", "s3://example-bucket/trefoil/records/r-1/",
        ]  # fmt: skip
        with pytest.raises(InputError, match="there is no run r-1"):
            client.status(run, stood.settings)
