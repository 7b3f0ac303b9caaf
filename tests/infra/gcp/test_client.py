"""The verbs, by the unmodified discovery client against the stand-in for Google Cloud."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.cloud import looking
from infra.errors import CredentialsError, InputError, QuotaError
from infra.gcp import client
from infra.gcp.names import RUN as LABEL
from infra.gcp.session import Gcp, connected
from infra.plan import Event, Plan, Resources
from tests.infra.gcp.running import RUN, Stood, alone, document, gcp, plan_of, states

Stages = Callable[..., Plan]


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Stages:
    """Gives the plan that can end in every way."""
    found = document("stages", tmp_path_factory.getbasetemp().parent / "gcp-ir")
    return lambda **given: plan_of(found, **given)


def test_a_run_from_its_start_to_its_end(stages: Stages, tmp_path: Path) -> None:
    """Every verb must tell the same run, by our names of steps, with values of their types."""
    with gcp(tmp_path) as stood:
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
        assert (made["running"] or 0) <= (made["succeeded"] or 0)
        assert client.why(RUN, settings, "make")
        assert not client.cancel(RUN, settings)


def test_another_machine_tells_the_same(stages: Stages, tmp_path: Path) -> None:
    """What the client must remember lies beside the run, not on the machine that sent it."""
    with gcp(tmp_path) as stood:
        events = stood.ran(stages())
        elsewhere = stood.settings._replace(workspace=str(tmp_path / "elsewhere"))
        assert client.history(RUN, elsewhere).moments[-1].event == events[-1]
        assert Path(str(client.outputs(RUN, elsewhere)["make"]["out"])).read_text() == "abc"


def test_what_was_sent(stages: Stages, tmp_path: Path) -> None:
    """The very request that a dry run prints, called by its run, after the record of it."""
    with gcp(tmp_path) as stood:
        stood.ran(stages())
        body: Any = stood.request(stages()).body
        (made,) = stood.sent("pipelineJobs.create")
        assert made == body["pipeline"]["job"]
        assert made["labels"][LABEL] == "r-1"
        (kept,) = stood.kept("PipelineJob")
        assert kept["name"] == body["pipeline"]["id"] == "r-1"
        calls = stood.calls()
        assert calls.index("aiplatform pipelineJobs.create") > calls.index("storage POST")
        assert not {call for call in calls if call.endswith(("delete", "patch"))}


def test_one_step_is_one_job(stages: Stages, tmp_path: Path) -> None:
    """--step train needs no pipeline."""
    plan = alone(stages(), "make")
    with gcp(tmp_path) as stood:
        assert states(stood.ran(plan)) == {"": "succeeded", "make": "succeeded"}
        body: Any = stood.request(plan).body
        assert stood.sent("customJobs.create") == [body["job"]]
        assert stood.sent("pipelineJobs.create") == []
        assert client.outputs(RUN, stood.settings)["make"]["size"] == 3


def test_a_failing_step_shows_its_last_lines(stages: Stages, tmp_path: Path) -> None:
    """A person should not have to look for the job to know what went wrong."""
    with gcp(tmp_path) as stood:
        events = stood.ran(stages(how="fail"))
        found = states(events)
        assert (found["end"], found["last"], found[""]) == ("failed", "succeeded", "failed")
        failed = next(event for event in events if event.state == "failed")
        assert failed.message == (
            "end ended with exit code 3\n  its last lines:\n    the robot's disk is full"
        )
        assert (events[-1].message, events[-1].code) == (failed.message, 1)
        assert "ended FAILED" in [e.text for e in client.logs(RUN, stood.settings, "last", False)]


def test_bad_input_ends_the_command_with_code_2(stages: Stages, tmp_path: Path) -> None:
    with gcp(tmp_path) as stood:
        assert stood.ran(stages(how="input"))[-1].code == 2


def test_a_gate_that_says_no_skips_what_is_behind_it(stages: Stages, tmp_path: Path) -> None:
    with gcp(tmp_path) as stood:
        events = stood.ran(stages(passed=False))
        skipped = [(e.state, e.message) for e in events if e.step == "use"]
        assert skipped == [("skipped", "its condition does not hold")]
        assert events[-1].state == "succeeded"
        assert "use" not in client.outputs(RUN, stood.settings)
        why = client.why(RUN, stood.settings, "use")
        assert why == ["use was skipped: its condition does not hold"]


def test_the_same_run_again_attaches(stages: Stages, tmp_path: Path) -> None:
    """A command that is given twice must not train twice."""
    with gcp(tmp_path) as stood:
        stood.submitted(stages())
        assert stood.ran(stages())[-1].state == "succeeded"
        assert stood.ran(stages())[-1].state == "succeeded"
        assert len(stood.sent("pipelineJobs.create")) == 1
        assert client.list_runs(stood.settings) == [RUN]


def test_a_failed_run_is_another_pipeline_that_takes_what_ended_well_from_the_cache(
    stages: Stages, tmp_path: Path
) -> None:
    """Vertex AI frees no name, and what ended well is not paid for twice."""
    with gcp(tmp_path) as stood:
        assert states(stood.ran(stages(how="fail")))["end"] == "failed"
        again = states(stood.ran(stages(how="fail")))
        assert (again["make"], again["end"]) == ("cached", "failed")
        assert {each["name"] for each in stood.kept("PipelineJob")} == {"r-1", "r-1-2"}


def test_a_run_can_be_ended(stages: Stages, tmp_path: Path) -> None:
    """A forgotten job costs money until somebody can end it; its exit handler hears of it."""
    with gcp(tmp_path) as stood:
        run = stood.submitted(stages(how="wait"))
        _until_it_says(stood, "waiting")
        assert client.cancel(run, stood.settings)
        events = list(client.follow(run, stood.settings))
        assert (states(events)["end"], states(events)[""]) == ("cancelled", "cancelled")
        assert not client.cancel(run, stood.settings)


def _until_it_says(stood: Stood, words: str) -> None:
    while words not in [line.text for line in client.logs(RUN, stood.settings, "", False)]:
        time.sleep(0.1)


@pytest.mark.parametrize("only", ["", "end"])
def test_a_run_that_is_cancelled_while_it_is_started_is_ended(
    stages: Stages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, only: str
) -> None:
    """Else it goes on, and is told as cancelled: until its timeout nobody looks at it again."""
    plan = stages(how="wait")
    plan = alone(plan, only)._replace(steps=(plan.step(only)._replace(after=()),)) if only else plan
    send: Any = Gcp.call

    def cancelled(self: Gcp, service: str, method: str, *rest: Any, **params: Any) -> Any:
        if method.endswith("Jobs.create"):
            assert client.cancel(RUN, stood.settings)
        return send(self, service, method, *rest, **params)

    with gcp(tmp_path) as stood:
        monkeypatch.setattr(Gcp, "call", cancelled)
        assert states(stood.ran(plan))[""] == "cancelled"
        monkeypatch.setattr(Gcp, "call", send)
        kind = "customJobs" if only else "pipelineJobs"
        google = connected(stood.settings.project, stood.settings.region)
        (job,) = google.ask(f"{kind}.list", "list them", parent=google.parent)[kind]
        while not job["state"].endswith("_STATE_CANCELLED"):
            job = google.ask(f"{kind}.get", "tell of it", name=job["name"])
            assert not job["state"].endswith("_STATE_SUCCEEDED")
        assert client.left(stood.settings) == {}


def test_a_cancelled_run_that_never_began_begins_anew(stages: Stages, tmp_path: Path) -> None:
    """The same command again is how a person says that they want it after all."""
    only = alone(stages(), "make")
    with gcp(tmp_path, limits={"*": 0}) as stood, pytest.raises(QuotaError):
        stood.submitted(only)
    with gcp(tmp_path) as stood:
        assert client.status(RUN, stood.settings).state == "waiting"
        assert client.cancel(RUN, stood.settings)
        assert client.status(RUN, stood.settings).state == "cancelled"
        assert stood.ran(only)[-1].state == "succeeded"
        assert [each["body"]["displayName"] for each in stood.kept("CustomJob")] == ["r-1-make-2"]


@pytest.mark.parametrize("only", ["", "make"])
def test_a_run_that_was_removed_at_google_is_told_and_begins_anew(
    stages: Stages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, only: str
) -> None:
    """Whoever watches it would wait for ever; so would the same command."""
    monkeypatch.setattr(looking, "_SETTLING", 0.0)
    plan = alone(stages(), only) if only else stages()
    kind = "customJobs" if only else "pipelineJobs"
    with gcp(tmp_path) as stood:
        stood.submitted(plan)
        google = connected(stood.settings.project, stood.settings.region)
        (job,) = google.ask(f"{kind}.list", "list them", parent=google.parent)[kind]
        while not job["state"].endswith("_STATE_SUCCEEDED"):
            job = google.ask(f"{kind}.get", "tell of it", name=job["name"])
        google.ask(f"{kind}.delete", "remove it", name=job["name"])
        last = list(client.follow(RUN, stood.settings))[-1]
        assert (last.state, last.code) == ("failed", 1)
        assert "Vertex AI knows nothing of this run any more" in last.message
        assert stood.ran(plan)[-1].state == "succeeded"


def test_logs_that_are_followed_tell_each_line_once(stages: Stages, tmp_path: Path) -> None:
    with gcp(tmp_path) as stood:
        stood.submitted(stages())
        lines = [each.text for each in client.logs(RUN, stood.settings, "", follow=True)]
        assert sorted(lines) == sorted(set(lines))
        assert {"made abc", "not yet", "at last", "ended SUCCEEDED"} <= set(lines)


def test_unknown_runs_and_steps(stages: Stages, tmp_path: Path) -> None:
    with gcp(tmp_path) as stood:
        with pytest.raises(InputError, match=r"there is no run r-1 in gs://example-bucket/"):
            client.status(RUN, stood.settings)
        assert client.list_runs(stood.settings) == []
        stood.ran(stages())
        with pytest.raises(InputError, match=r"has no step train; it has judge"):
            client.why(RUN, stood.settings, "train")


def test_a_request_that_vertex_ai_would_refuse_is_not_sent(stages: Stages, tmp_path: Path) -> None:
    """A person hears of every fault at once, before anything lies in the bucket or is billed."""
    with gcp(tmp_path) as stood:
        wrong = stood._replace(settings=stood.settings._replace(machine_type="banana-7"))
        with pytest.raises(InputError, match=r"nothing was sent:\n.*banana-7"):
            wrong.submitted(alone(stages(), "make"))
        assert stood.calls() == []


def test_an_artefact_that_is_too_large_stays_where_it_is(
    stages: Stages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.cloud.outputs._LARGEST", 2)
    with gcp(tmp_path) as stood:
        stood.ran(stages())
        found = str(client.outputs(RUN, stood.settings)["make"]["out"])
    assert found.startswith("gs://example-bucket/trefoil/runs/r-1/")


def test_a_spot_machine_that_is_taken_away_is_told(stages: Stages, tmp_path: Path) -> None:
    """A training that takes twice as long as it should has a reason that a person can read."""
    plan = alone(stages(), "make")
    spot = plan.step("make")._replace(resources=Resources(spot=True))
    with gcp(tmp_path, interruptions=[{"step": "make", "times": 1}], start=0.5) as stood:
        assert stood.ran(plan._replace(steps=(spot,)))[-1].state == "succeeded"
        (job,) = stood.kept("CustomJob")
        assert len(job["attempts"]) == 2
        (sent,) = stood.sent("customJobs.create")
        assert sent["jobSpec"]["scheduling"]["strategy"] == "SPOT"


def test_no_machine_to_be_had_is_told(stages: Stages, tmp_path: Path) -> None:
    with gcp(tmp_path, no_capacity=[{"step": "make", "times": 5}]) as stood:
        events = stood.ran(stages())
        failed = next(each for each in events if each.state == "failed")
        assert failed.step == "make"
        assert "Google has no such machine free for make now" in failed.message


def test_credentials_that_expire_are_told(stages: Stages, tmp_path: Path) -> None:
    expired = [{"host": "aiplatform", "error": "UNAUTHENTICATED", "status": 401, "times": 99}]
    with (
        gcp(tmp_path, faults=expired) as stood,
        pytest.raises(CredentialsError, match=r"have expired or are not valid, and cannot start"),
    ):
        stood.submitted(stages())


@pytest.mark.parametrize("error", ["RESOURCE_EXHAUSTED", "UNAVAILABLE", ""])
def test_a_service_that_fails_for_a_while_fails_no_run(
    stages: Stages, tmp_path: Path, error: str
) -> None:
    """A run that trains for hours must outlive an hour's bad minute; empty: the answer is lost."""
    status = {"RESOURCE_EXHAUSTED": 429, "UNAVAILABLE": 503}
    more = {"error": error, "status": status[error]} if error else {}
    faults = [
        {"host": "aiplatform", "method": method, "times": 2, **more} for method in ("GET", "POST")
    ]
    with gcp(tmp_path, faults=faults) as stood:
        assert stood.ran(stages())[-1].state == "succeeded"
        assert len(stood.kept("PipelineJob")) == 1


@pytest.mark.parametrize("only", ["", "make"])
def test_two_commands_at_once_are_one_run(stages: Stages, tmp_path: Path, only: str) -> None:
    plan = alone(stages(), only) if only else stages()
    with gcp(tmp_path) as stood:
        threads = [threading.Thread(target=stood.submitted, args=(plan,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert list(client.follow(RUN, stood.settings))[-1].state == "succeeded"
        assert len(stood.kept("CustomJob" if only else "PipelineJob")) == 1


def test_no_secret_is_kept_of_a_run(stages: Stages, tmp_path: Path) -> None:
    """Whoever may list runs reads their records; a value is for the step alone."""
    secret = stages().step("make")._replace(env={"STRIPE_KEY": "sk_live_0123"})
    with gcp(tmp_path) as stood:
        stood.ran(stages()._replace(steps=(secret,)))
        google = connected(stood.settings.project, stood.settings.region)
        store = google.store(stood.settings.bucket)
        kept = store.get("trefoil/records/r-1/0001/request.json") or b""
        assert b'"STRIPE_KEY": "***"' in kept
        assert b"sk_live_0123" not in kept
