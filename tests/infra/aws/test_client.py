"""The verbs, by the unmodified boto3 against the stand-in for AWS."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest

from infra.aws import client
from infra.aws.looking import execution_of
from infra.aws.session import Aws, connected
from infra.aws.store import S3
from infra.cloud import looking
from infra.cloud.records import Records
from infra.errors import CredentialsError, InputError, QuotaError
from infra.plan import Event, Plan, Resources
from tests.infra.aws.running import RUN, Stood, aws, document, one_step, plan_of, states

Stages = Callable[..., Plan]


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Stages:
    """Gives the plan that can end in every way."""
    found = document("stages", tmp_path_factory.getbasetemp().parent / "aws-ir")
    return lambda **given: plan_of(found, **given)


def test_a_run_from_its_start_to_its_end(stages: Stages, tmp_path: Path) -> None:
    """Every verb must tell the same run, by our names of steps, with values of their types."""
    with aws(tmp_path) as stood:
        events = stood.ran(stages())
        assert states(events) == {
            "": "succeeded", "make": "succeeded", "judge": "succeeded", "unsteady": "succeeded",
            "end": "succeeded", "use": "succeeded", "last": "succeeded",
        }  # fmt: skip
        settings = stood.settings
        status = client.status(RUN, settings)
        assert status.state == "succeeded"
        assert {n: e.state for n, e in status.steps.items()} == {
            n: s for n, s in states(events).items() if n
        }
        outputs = client.outputs(RUN, settings)
        assert outputs["make"]["size"] == 3
        assert outputs["judge"]["verdict"] is True
        assert Path(str(outputs["use"]["out"])).read_text() == "abc!"
        lines = [(each.step, each.text) for each in client.logs(RUN, settings, "", follow=False)]
        assert ("make", "made abc") in lines
        assert ("last", "ended SUCCEEDED") in lines
        assert client.list_runs(settings) == [RUN]
        history = client.history(RUN, settings)
        assert history.plan is not None
        assert [step.name for step in history.plan.steps] == [s.name for s in stages().steps]
        assert history.moments[0].event == Event("", "running")
        assert history.moments[-1].event == events[-1]
        made = {m.event.state: m.at for m in history.moments if m.event.step == "make"}
        assert (made["running"] or 0) < (made["succeeded"] or 0)
        assert client.why(RUN, settings, "make")
        assert not client.cancel(RUN, settings)


def test_another_machine_tells_the_same(stages: Stages, tmp_path: Path) -> None:
    """What the client must remember lies beside the run, not on the machine that sent it."""
    with aws(tmp_path) as stood:
        events = stood.ran(stages())
        elsewhere = stood.settings._replace(workspace=str(tmp_path / "elsewhere"))
        assert client.history(RUN, elsewhere).moments[-1].event == events[-1]
        assert Path(str(client.outputs(RUN, elsewhere)["make"]["out"])).read_text() == "abc"


def test_what_was_sent(stages: Stages, tmp_path: Path) -> None:
    """The pipeline is the run's; its files come first, what is billed comes after its record."""
    with aws(tmp_path) as stood:
        stood.ran(stages())
        body: Any = stood.request(stages()).body
        (made,), (started,) = (
            stood.sent("SageMaker CreatePipeline"),
            stood.sent("SageMaker StartPipelineExecution"),
        )
        assert json.loads(made["PipelineDefinition"]) == body["pipeline"]["PipelineDefinition"]
        assert {"Key": "trefoil:run", "Value": "r-1"} in made["Tags"]
        assert started["PipelineName"] == "r-1"
        (execution,) = stood.kept("PipelineExecution")
        assert execution["token"] == body["start"]["ClientRequestToken"]
        (handler,) = stood.sent("SageMaker CreateProcessingJob")
        assert handler == body["after"][0]["request"]
        calls = stood.calls()
        assert calls.index("SageMaker CreatePipeline") > calls.index("S3 PUT")


def test_a_failing_step_shows_its_last_lines(stages: Stages, tmp_path: Path) -> None:
    """A person should not have to look for the job to know what went wrong."""
    with aws(tmp_path) as stood:
        events = stood.ran(stages(how="fail"))
        found = states(events)
        assert (found["end"], found["last"], found[""]) == ("failed", "succeeded", "failed")
        failed = next(event for event in events if event.state == "failed")
        assert failed.message == (
            "end ended with exit code 3\n  its last lines:\n    the robot's disk is full"
        )
        assert (events[-1].message, events[-1].code) == (failed.message, 1)
        assert client.status(RUN, stood.settings).message == failed.message
        assert "ended FAILED" in [e.text for e in client.logs(RUN, stood.settings, "last", False)]


def test_bad_input_ends_the_command_with_code_2(stages: Stages, tmp_path: Path) -> None:
    with aws(tmp_path) as stood:
        assert stood.ran(stages(how="input"))[-1].code == 2


def test_a_gate_that_says_no_skips_what_is_behind_it(stages: Stages, tmp_path: Path) -> None:
    with aws(tmp_path) as stood:
        events = stood.ran(stages(passed=False))
        skipped = [(e.state, e.message) for e in events if e.step == "use"]
        assert skipped == [("skipped", "its condition does not hold")]
        assert events[-1].state == "succeeded"
        assert "use" not in client.outputs(RUN, stood.settings)
        why = client.why(RUN, stood.settings, "use")
        assert why == ["use was skipped: its condition does not hold"]


def test_the_same_run_again_attaches(stages: Stages, tmp_path: Path) -> None:
    """A command that is given twice must not train twice, nor run the exit handler twice."""
    with aws(tmp_path) as stood:
        stood.submitted(stages())
        assert stood.ran(stages())[-1].state == "succeeded"
        assert stood.ran(stages())[-1].state == "succeeded"
        assert len(stood.kept("PipelineExecution")) == 1
        assert len(stood.sent("SageMaker CreateProcessingJob")) == 1
        assert client.list_runs(stood.settings) == [RUN]


def test_a_failed_run_goes_on_where_it_failed(stages: Stages, tmp_path: Path) -> None:
    """What ended well is not paid for twice; what failed, and the exit handler, run anew."""
    with aws(tmp_path) as stood:
        for _ in range(2):
            assert states(stood.ran(stages(how="fail")))["end"] == "failed"
        (execution,) = stood.kept("PipelineExecution")
        jobs = [each["step"] for each in stood.kept("Processing")]
        assert {name: jobs.count(name) for name in jobs} == {
            "make": 1, "judge": 1, "unsteady": 1, "use": 1, "end": 2, "last": 2,
        }  # fmt: skip
        assert len(execution["retries"]) == 1


def test_a_pipeline_that_was_changed_is_started_anew(stages: Stages, tmp_path: Path) -> None:
    """The code was mended: a run that goes on must not go on with the broken image."""
    with aws(tmp_path) as stood:
        stood.ran(stages(how="fail"))
        mended = stood._replace(
            settings=stood.settings._replace(images={"python:3.11-slim": "p:2"})
        )
        mended.ran(stages(how="fail"))
        (pipeline,) = stood.kept("Pipeline")
        assert "p:2" in pipeline["definition"]
        assert len({each["token"] for each in stood.kept("PipelineExecution")}) == 2


def test_one_step_is_one_job(stages: Stages, tmp_path: Path) -> None:
    """--step train needs no pipeline, and still has its exit handler."""
    plan = stages(how="fail")
    only = plan._replace(steps=tuple(s for s in plan.steps if s.name in ("make", "last")))
    with aws(tmp_path) as stood:
        events = stood.ran(only)
        assert states(events) == {"": "succeeded", "make": "succeeded", "last": "succeeded"}
        assert stood.kept("Pipeline") == []
        assert [each["name"] for each in stood.kept("Processing")] == ["r-1-last", "r-1-make"]
        assert client.outputs(RUN, stood.settings)["make"]["size"] == 3


def test_a_job_that_failed_is_made_anew_under_a_new_name(stages: Stages, tmp_path: Path) -> None:
    """SageMaker frees no name: the second attempt must have another one."""
    end = one_step(stages(how="fail"), "end")
    only = end._replace(steps=(end.step("end")._replace(after=()),))
    with aws(tmp_path) as stood:
        assert stood.ran(only)[-1].state == "failed"
        assert stood.ran(only)[-1].state == "failed"
        assert {each["name"] for each in stood.kept("Processing")} == {"r-1-end", "r-1-end-2"}


def test_a_run_can_be_ended(stages: Stages, tmp_path: Path) -> None:
    """A forgotten job costs money until somebody can end it; its exit handler hears of it."""
    with aws(tmp_path) as stood:
        run = stood.submitted(stages(how="wait"))
        _until_it_says(stood, "waiting")
        assert client.cancel(run, stood.settings)
        events = list(client.follow(run, stood.settings))
        assert (states(events)["end"], states(events)[""]) == ("cancelled", "cancelled")
        assert not client.cancel(run, stood.settings)
        lines = [each.text for each in client.logs(run, stood.settings, "last", False)]
        assert lines == ["ended CANCELLED"]


def _until_it_says(stood: Stood, words: str) -> None:
    while words not in [line.text for line in client.logs(RUN, stood.settings, "", False)]:
        time.sleep(0.1)


@pytest.mark.parametrize("only", ["", "end"])
def test_a_run_that_is_cancelled_while_it_is_started_is_ended(
    stages: Stages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, only: str
) -> None:
    """Else it goes on, and is told as cancelled: until its timeout nobody looks at it again."""
    plan = stages(how="wait")
    plan = plan._replace(steps=(plan.step(only)._replace(after=()),)) if only else plan
    send: Any = Aws.ask

    def cancelled(self: Aws, service: str, operation: str, *rest: Any, **request: Any) -> Any:
        if operation in ("start_pipeline_execution", "create_processing_job"):
            assert client.cancel(RUN, stood.settings)
        return send(self, service, operation, *rest, **request)

    with aws(tmp_path) as stood:
        monkeypatch.setattr(Aws, "ask", cancelled)
        assert states(stood.ran(plan))[""] == "cancelled"
        monkeypatch.setattr(Aws, "ask", send)
        sagemaker = boto3.client("sagemaker", region_name="eu-west-1")
        while True:
            if only:
                (job,) = sagemaker.list_processing_jobs()["ProcessingJobSummaries"]
                state = job["ProcessingJobStatus"]
            else:
                listed = sagemaker.list_pipeline_executions(PipelineName="r-1")
                state = listed["PipelineExecutionSummaries"][0]["PipelineExecutionStatus"]
            assert state not in ("Completed", "Succeeded")
            if state == "Stopped":
                break
            time.sleep(0.1)


def test_who_looks_at_a_run_while_it_is_tried_again_does_not_end_it(
    stages: Stages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipeline has the executions of all attempts: that of the last one is no end of this one."""
    seen: list[str] = []

    def watched(method: str, operation: str) -> None:
        send: Any = getattr(Aws, method)

        def looked(self: Aws, service: str, asked: str, *rest: Any, **request: Any) -> Any:
            if asked == operation:
                seen.append(client.status(RUN, stood.settings).state)
            return send(self, service, asked, *rest, **request)

        monkeypatch.setattr(Aws, method, looked)

    with aws(tmp_path) as stood:
        stood.ran(stages(how="fail"))
        watched("find", "retry_pipeline_execution")
        stood.ran(stages(how="fail"))
        mended = stood.settings._replace(images={"python:3.11-slim": "p:2"})
        watched("ask", "start_pipeline_execution")
        last = stood._replace(settings=mended).ran(stages(how="fail"))[-1]
        names = {each["display"] for each in stood.kept("PipelineExecution")}
    assert seen == ["waiting", "waiting"]
    assert last.state == "failed"
    assert "disk is full" in last.message
    assert names == {"r-1-1", "r-1-3"}


def test_who_ends_an_attempt_that_never_began_ends_no_other(stages: Stages, tmp_path: Path) -> None:
    """Two same commands after a cancel: the slower one must not stop what the faster one began."""
    with aws(tmp_path) as stood:
        reached = connected(stood.settings.region)
        records = Records(S3(reached, stood.settings), stood.settings.prefix)
        stood.ran(stages())
        began = records.newest("r-1")
        assert began is not None
        never = began._replace(number=2, started={})
        assert execution_of(reached, began._replace(started={})) == began.started["execution"]
        assert execution_of(reached, never) == ""


@pytest.mark.parametrize("only", ["", "make"])
def test_a_run_that_was_removed_at_aws_is_told_and_begins_anew(
    stages: Stages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, only: str
) -> None:
    """Whoever watches it would wait for ever; so would the same command."""
    monkeypatch.setattr(looking, "_SETTLING", 0.0)
    plan = one_step(stages(), only) if only else stages()
    plan = plan._replace(steps=tuple(each for each in plan.steps if not each.always))
    find: Any = Aws.find

    def forgotten(self: Aws, service: str, *rest: Any, **request: Any) -> Any:
        return None if service == "sagemaker" else find(self, service, *rest, **request)

    with aws(tmp_path) as stood:
        stood.submitted(plan)
        with monkeypatch.context() as patch:
            patch.setattr(Aws, "find", forgotten)
            last = list(client.follow(RUN, stood.settings))[-1]
        assert (last.state, last.code) == ("failed", 1)
        assert "SageMaker knows nothing of this run any more" in last.message
        assert stood.ran(plan)[-1].state == "succeeded"


def test_logs_that_are_followed_tell_each_line_once(stages: Stages, tmp_path: Path) -> None:
    with aws(tmp_path) as stood:
        stood.submitted(stages())
        lines = [each.text for each in client.logs(RUN, stood.settings, "", follow=True)]
        assert sorted(lines) == sorted(
            ["made abc", "not yet", "attempt 1 ended with code 1; again in 0 s", "at last",
             "ended SUCCEEDED"]
        )  # fmt: skip


def test_unknown_runs_and_steps(stages: Stages, tmp_path: Path) -> None:
    with aws(tmp_path) as stood:
        with pytest.raises(InputError, match=r"there is no run r-1 in s3://example-bucket/"):
            client.status(RUN, stood.settings)
        assert client.list_runs(stood.settings) == []
        stood.ran(stages())
        with pytest.raises(InputError, match=r"has no step train; it has judge"):
            client.why(RUN, stood.settings, "train")


def test_a_request_that_sagemaker_would_refuse_is_not_sent(stages: Stages, tmp_path: Path) -> None:
    """A person hears of every fault at once, before anything lies in S3 or is billed."""
    with aws(tmp_path) as stood:
        wrong = stood._replace(settings=stood.settings._replace(instance_type="m5.large"))
        with pytest.raises(InputError, match=r"nothing was sent:\n.*InstanceType is m5.large"):
            wrong.submitted(stages())
        assert stood.calls() == []


def test_an_artefact_that_is_too_large_stays_where_it_is(
    stages: Stages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.cloud.outputs._LARGEST", 2)
    with aws(tmp_path) as stood:
        stood.ran(stages())
        found = client.outputs(RUN, stood.settings)["make"]["out"]
    assert found == "s3://example-bucket/trefoil/runs/r-1/make/out/artifact"


def _on_spot(plan: Plan, step: str) -> Plan:
    steps = [
        each._replace(resources=Resources(spot=True)) if each.name == step else each
        for each in plan.steps
    ]
    return plan._replace(steps=tuple(steps))


def test_a_spot_machine_that_is_taken_away_is_told(stages: Stages, tmp_path: Path) -> None:
    """A training that takes twice as long as it should has a reason that a person can read."""
    away = [{"step": "unsteady", "times": 1}]
    with aws(tmp_path, interruptions=away, start=0.5) as stood:
        events = stood.ran(_on_spot(stages(), "unsteady"))
        assert events[-1].state == "succeeded"
        told = [each for each in events if each.step == "unsteady"]
        assert any("taken away" in each.message for each in told), told
        assert told[-1].attempt == 2


def test_no_machine_to_be_had_is_told(stages: Stages, tmp_path: Path) -> None:
    full = [{"step": "make", "times": 5}]
    with aws(tmp_path, no_capacity=full) as stood:
        events = stood.ran(stages())
        failed = next(each for each in events if each.state == "failed")
        assert failed.step == "make"
        assert "AWS has no such machine free for make now" in failed.message


def test_a_limit_of_the_account_starts_nothing_and_says_which(
    stages: Stages, tmp_path: Path
) -> None:
    plan = stages()
    only = plan._replace(steps=(plan.step("make"),))
    with aws(tmp_path, limits={"ml.m5.large": 0}) as stood:
        with pytest.raises(QuotaError, match=r"may have 0 Instances of ml.m5.large for processing"):
            stood.submitted(only)
        assert client.status(RUN, stood.settings).state == "waiting"
        assert client.cancel(RUN, stood.settings)
        assert client.status(RUN, stood.settings).state == "cancelled"


def test_credentials_that_expire_are_told(stages: Stages, tmp_path: Path) -> None:
    expired = [{"operation": "CreatePipeline", "error": "ExpiredTokenException", "times": 99}]
    with (
        aws(tmp_path, faults=expired) as stood,
        pytest.raises(CredentialsError, match=r"have expired, and cannot make the pipeline"),
    ):
        stood.submitted(stages())


@pytest.mark.parametrize("error", ["ThrottlingException", "InternalFailure", ""])
def test_a_service_that_fails_for_a_while_fails_no_run(
    stages: Stages, tmp_path: Path, error: str
) -> None:
    """A run that trains for hours must outlive an hour's bad minute; empty: the answer is lost."""
    status = {"status": 500} if error == "InternalFailure" else {}
    faults = [
        {"operation": name, "error": error, "times": 2, **status}
        for name in ("DescribePipelineExecution", "ListPipelineExecutionSteps", "CreatePipeline",
                     "StartPipelineExecution", "CreateProcessingJob")
    ]  # fmt: skip
    with aws(tmp_path, faults=faults) as stood:
        assert stood.ran(stages())[-1].state == "succeeded"
        assert len(stood.kept("PipelineExecution")) == 1
        assert len([e for e in stood.kept("Processing") if e["name"].startswith("r-1-last")]) == 1


def test_two_commands_at_once_are_one_run(stages: Stages, tmp_path: Path) -> None:
    with aws(tmp_path) as stood:
        threads = [threading.Thread(target=stood.submitted, args=(stages(),)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert list(client.follow(RUN, stood.settings))[-1].state == "succeeded"
        assert len(stood.kept("PipelineExecution")) == 1


def test_no_secret_is_kept_of_a_run(stages: Stages, tmp_path: Path) -> None:
    """Whoever may list runs reads their records; a value is for the step alone."""
    plan = stages()
    secret = plan.step("make")._replace(env={"STRIPE_KEY": "sk_live_0123"})
    with aws(tmp_path) as stood:
        stood.ran(plan._replace(steps=(secret,)))
        objects = boto3.client("s3", region_name="eu-west-1")
        key = "trefoil/records/r-1/0001/request.json"
        kept = objects.get_object(Bucket="example-bucket", Key=key)["Body"].read()
        assert b'"STRIPE_KEY": "***"' in kept
        assert b"sk_live_0123" not in kept


@pytest.mark.parametrize("steps", [("make", "judge", "last"), ("make", "last")])
def test_where_only_the_exit_handler_failed_it_alone_is_run_again(
    stages: Stages, tmp_path: Path, steps: tuple[str, ...]
) -> None:
    plan = stages()
    plan = plan._replace(steps=tuple(each for each in plan.steps if each.name in steps))
    with aws(tmp_path, no_capacity=[{"step": "last", "times": 1}]) as stood:
        assert states(stood.ran(plan))[""] == "failed"
        events = states(stood.ran(plan))
        assert (events["last"], events[""]) == ("succeeded", "succeeded")
        jobs = [each["step"] for each in stood.kept("Processing")]
        assert sorted(jobs) == sorted([*steps, "last"])
