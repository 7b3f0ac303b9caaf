"""The verbs, by the unmodified SDK against the stand-in for Azure ML."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.azure import client
from infra.azure.arm import Arm
from infra.azure.emulator import history
from infra.azure.session import Azure, connected
from infra.cloud import looking
from infra.errors import CredentialsError, InputError
from infra.plan import Event, Plan, Resources
from tests.infra.azure.running import (
    RUN,
    Stood,
    azure,
    document,
    one_step,
    plan_of,
    some,
    states,
)

Stages = Callable[..., Plan]


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Stages:
    """Gives the plan that can end in every way."""
    found = document("stages", tmp_path_factory.getbasetemp().parent / "azure-ir")
    return lambda **given: plan_of(found, **given)


def test_a_run_from_its_start_to_its_end(stages: Stages, tmp_path: Path) -> None:
    """Every verb must tell the same run, by our names of steps, with values of their types."""
    with azure(tmp_path) as stood:
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
    with azure(tmp_path) as stood:
        events = stood.ran(some(stages(), "make", "judge"))
        elsewhere = stood.settings._replace(workspace=str(tmp_path / "elsewhere"))
        assert client.history(RUN, elsewhere).moments[-1].event == events[-1]
        assert Path(str(client.outputs(RUN, elsewhere)["make"]["out"])).read_text() == "abc"


def test_what_was_sent(stages: Stages, tmp_path: Path) -> None:
    """Files and environments come first; what is billed comes after the record of it."""
    with azure(tmp_path) as stood:
        stood.ran(stages())
        pipeline, handler = (each["properties"] for each in stood.sent("ARM PUT jobs"))
        assert pipeline["jobType"] == "Pipeline"
        assert set(pipeline["jobs"]) == {"make", "judge", "unsteady", "end", "use"}
        assert pipeline["settings"]["force_rerun"] is True
        assert pipeline["tags"]["trefoil.run"] == "r-1"
        specs = [
            e["properties"]["componentSpec"] for e in stood.sent("ARM PUT components/versions")
        ]
        assert [each["is_deterministic"] for each in specs] == [False] * len(specs)
        (environment,) = stood.sent("ARM PUT environments/versions")
        assert environment["properties"]["image"] == "python:3.11-slim"
        assert handler["jobType"] == "Command"
        assert "${{inputs.trefoil_status}}" in handler["command"]
        calls = stood.calls()
        assert calls.index("blob PUT") < calls.index("ARM PUT environments/versions")
        assert calls.index("ARM PUT environments/versions") < calls.index("ARM PUT jobs")


def test_a_failing_step_shows_its_last_lines(stages: Stages, tmp_path: Path) -> None:
    """A person should not have to look for the job to know what went wrong."""
    with azure(tmp_path) as stood:
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
    with azure(tmp_path) as stood:
        assert stood.ran(some(stages(how="input"), "unsteady", "end"))[-1].code == 2


def test_a_gate_that_says_no_skips_what_is_behind_it(stages: Stages, tmp_path: Path) -> None:
    with azure(tmp_path) as stood:
        events = stood.ran(stages(passed=False))
        skipped = [(e.state, e.message) for e in events if e.step == "use"]
        assert skipped[-1] == ("skipped", "its condition does not hold")
        assert events[-1].state == "succeeded"
        assert "use" not in client.outputs(RUN, stood.settings)
        why = client.why(RUN, stood.settings, "use")
        assert why == ["use was skipped: its condition does not hold"]


def test_the_same_run_again_attaches(stages: Stages, tmp_path: Path) -> None:
    """A command that is given twice must not train twice, nor run the exit handler twice."""
    with azure(tmp_path) as stood:
        plan = some(stages(), "make", "judge", "last")
        stood.submitted(plan)
        assert stood.ran(plan)[-1].state == "succeeded"
        assert stood.ran(plan)[-1].state == "succeeded"
        assert len(stood.sent("ARM PUT jobs")) == 2
        assert stood.started() == ["r-1", "r-1-last"]
        assert client.list_runs(stood.settings) == [RUN]


def test_a_failed_run_goes_on_where_it_failed(stages: Stages, tmp_path: Path) -> None:
    """What ended well is not paid for twice; what failed, and the exit handler, run anew."""
    with azure(tmp_path) as stood:
        for _ in range(2):
            assert states(stood.ran(stages(how="fail")))["end"] == "failed"
        jobs = [each["step"] for each in stood.jobs() if each["parent"] or "last" in each["name"]]
        assert {name: jobs.count(name) for name in jobs} == {
            "make": 1, "judge": 1, "unsteady": 1, "use": 1, "end": 2, "last": 2,
        }  # fmt: skip
        assert stood.started() == ["r-1", "r-1-2", "r-1-last", "r-1-last-2"]
        again = stood.sent("ARM PUT jobs")[2]["properties"]["jobs"]["end"]
        assert again["inputs"]["from_unsteady"]["uri"].endswith("/runs/r-1/unsteady/")
        assert again["outputs"]["left"]["uri"].endswith("/runs/r-1/end.2/")


def test_a_run_that_goes_on_takes_from_what_it_did_before(stages: Stages, tmp_path: Path) -> None:
    """What a mended step reads must be what the first attempt left, not an empty folder."""
    plan = some(stages(), "make", "judge", "use")
    with azure(tmp_path, no_capacity=[{"step": "use", "times": 1}]) as stood:
        assert states(stood.ran(plan))["use"] == "failed"
        assert states(stood.ran(plan))["use"] == "succeeded"
        out = client.outputs(RUN, stood.settings)["use"]["out"]
        assert Path(str(out)).read_text() == "abc!"


def test_a_step_whose_image_was_mended_runs_in_the_new_one(stages: Stages, tmp_path: Path) -> None:
    """Azure takes an environment that is there whatever its image: a new image is a new version."""
    plan = some(one_step(stages(how="fail"), "end"), "unsteady", "end")
    with azure(tmp_path) as stood:
        stood.ran(plan)
        mended = stood._replace(
            settings=stood.settings._replace(images={"python:3.11-slim": "p:2"})
        )
        mended.ran(plan)
        first, second = stood.sent("ARM PUT environments/versions")
        assert (first["properties"]["image"], second["properties"]["image"]) == (
            "python:3.11-slim", "p:2",
        )  # fmt: skip
        used = {e["properties"]["componentSpec"]["environment"].rpartition("/environments/")[2]
                for e in stood.sent("ARM PUT components/versions")}  # fmt: skip
        assert len(used) == 2


def test_one_step_is_one_job(stages: Stages, tmp_path: Path) -> None:
    """--step train needs no pipeline, and still has its exit handler."""
    plan = stages(how="fail")
    only = some(plan, "make", "last")
    with azure(tmp_path) as stood:
        events = stood.ran(only)
        assert states(events) == {"": "succeeded", "make": "succeeded", "last": "succeeded"}
        assert stood.started() == ["r-1-last", "r-1-make"]
        assert {each["properties"]["jobType"] for each in stood.jobs()} == {"Command"}
        assert client.outputs(RUN, stood.settings)["make"]["size"] == 3


def test_a_job_that_failed_is_made_anew_under_a_new_name(stages: Stages, tmp_path: Path) -> None:
    """Azure frees no name: the second attempt must have another one."""
    end = one_step(stages(how="fail"), "end")
    only = end._replace(steps=(end.step("end")._replace(after=()),))
    with azure(tmp_path) as stood:
        assert stood.ran(only)[-1].state == "failed"
        assert stood.ran(only)[-1].state == "failed"
        assert stood.started() == ["r-1-end", "r-1-end-2"]


def test_a_run_can_be_ended(stages: Stages, tmp_path: Path) -> None:
    """A forgotten job costs money until somebody can end it; its exit handler hears of it."""
    with azure(tmp_path) as stood:
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
    ask: Any = Azure.ask

    def cancelled(self: Azure, doing: str, *rest: Any, **named: Any) -> Any:
        if doing in ("start the job r-1", "start the job r-1-end"):
            assert client.cancel(RUN, stood.settings)
        return ask(self, doing, *rest, **named)

    with azure(tmp_path) as stood:
        monkeypatch.setattr(Azure, "ask", cancelled)
        assert states(stood.ran(plan))[""] == "cancelled"
        monkeypatch.setattr(Azure, "ask", ask)
        (job,) = [each for each in _over(stood) if not each["parent"]]
        assert job["status"] == "Canceled"


def _over(stood: Stood) -> list[dict[str, Any]]:
    """The jobs, once all of them have ended; nobody else looks at them meanwhile."""
    while any(e["status"] not in ("Completed", "Failed", "Canceled") for e in stood.jobs()):
        time.sleep(0.05)
    return stood.jobs()


def test_a_cancelled_run_that_never_began_begins_anew(stages: Stages, tmp_path: Path) -> None:
    """The same command again is how a person says that they want it after all."""
    only = some(stages(), "make")
    denied = [{"host": "^management", "method": "PUT", "error": "AuthorizationFailed", "times": 1}]
    with azure(tmp_path, faults=denied) as stood:
        with pytest.raises(CredentialsError):
            stood.submitted(only)
        assert client.status(RUN, stood.settings).state == "waiting"
        assert client.cancel(RUN, stood.settings)
        assert client.status(RUN, stood.settings).state == "cancelled"
        assert stood.ran(only)[-1].state == "succeeded"
        assert stood.started() == ["r-1-make-2"]


@pytest.mark.parametrize("only", ["", "make"])
def test_a_run_that_was_removed_at_azure_is_told_and_begins_anew(
    stages: Stages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, only: str
) -> None:
    """Whoever watches it would wait for ever; so would the same command."""
    monkeypatch.setattr(looking, "_SETTLING", 0.0)
    plan = some(stages(), *([only] if only else ["make", "judge"]))
    with azure(tmp_path) as stood:
        stood.submitted(plan)
        (main,) = [each["name"] for each in _over(stood) if not each["parent"]]
        where = connected(stood.settings).where
        assert Arm(where).delete(f"{where.path}/jobs/{main}", "remove it")
        last = list(client.follow(RUN, stood.settings))[-1]
        assert (last.state, last.code) == ("failed", 1)
        assert "Azure ML knows nothing of this run any more" in last.message
        assert stood.ran(plan)[-1].state == "succeeded"
        assert stood.started() == [f"{main}-2"]


def test_logs_that_are_followed_tell_each_line_once(stages: Stages, tmp_path: Path) -> None:
    with azure(tmp_path) as stood:
        stood.submitted(stages())
        lines = [each.text for each in client.logs(RUN, stood.settings, "", follow=True)]
        assert sorted(lines) == sorted(
            ["made abc", "not yet", "attempt 1 ended with code 1; again in 0 s", "at last",
             "ended SUCCEEDED"]
        )  # fmt: skip


def test_unknown_runs_and_steps(stages: Stages, tmp_path: Path) -> None:
    with azure(tmp_path) as stood:
        with pytest.raises(
            InputError, match=r"there is no run r-1 in azureml://datastores/trefoil_data/"
        ):
            client.status(RUN, stood.settings)
        assert client.list_runs(stood.settings) == []
        stood.ran(some(stages(), "judge", "make"))
        with pytest.raises(InputError, match=r"has no step train; it has judge"):
            client.why(RUN, stood.settings, "train")


def test_a_request_that_azure_would_refuse_is_not_sent(stages: Stages, tmp_path: Path) -> None:
    """A person hears of every fault at once, before anything lies in storage or is billed."""
    with azure(tmp_path) as stood:
        bad = {"*": {"component": {"resources": {"instance_count": 2}}, "colour": "blue"}}
        wrong = stood._replace(settings=stood.settings._replace(overrides=bad))
        with pytest.raises(InputError, match=r"nothing was sent:\n") as told:
            wrong.submitted(stages())
        assert "jobs['make'].colour is not a field of a node" in str(told.value)
        assert "jobs['make'].distribution is missing, and 2 machines" in str(told.value)
        assert stood.calls() == []


def test_an_artefact_that_is_too_large_stays_where_it_is(
    stages: Stages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.cloud.outputs._LARGEST", 2)
    with azure(tmp_path) as stood:
        stood.ran(some(stages(), "make"))
        found = client.outputs(RUN, stood.settings)["make"]["out"]
    assert found == "azureml://datastores/trefoil_data/paths/trefoil/runs/r-1/make/out/artifact"


def _on_spot(plan: Plan, step: str) -> Plan:
    steps = [
        each._replace(resources=Resources(spot=True)) if each.name == step else each
        for each in plan.steps
    ]
    return plan._replace(steps=tuple(steps))


def test_a_spot_machine_that_is_taken_away_is_told(stages: Stages, tmp_path: Path) -> None:
    """A training that takes twice as long as it should has a reason that a person can read."""
    away = [{"step": "unsteady", "times": 1}]
    with azure(tmp_path, interruptions=away, start=0.5) as stood:
        events = stood.ran(_on_spot(some(stages(), "make", "unsteady"), "unsteady"))
        assert events[-1].state == "succeeded"
        told = [each for each in events if each.step == "unsteady"]
        assert any("taken away" in each.message for each in told), told


def test_no_machine_to_be_had_is_told(stages: Stages, tmp_path: Path) -> None:
    full = [{"step": "make", "times": 5}]
    with azure(tmp_path, no_capacity=full) as stood:
        events = stood.ran(some(stages(), "make", "judge"))
        failed = next(each for each in events if each.state == "failed")
        assert failed.step == "make"
        assert "Azure has no such machine free for make now" in failed.message


def test_a_quota_of_nothing_is_told(stages: Stages, tmp_path: Path) -> None:
    plan = stages()
    only = some(plan, "make")
    with azure(tmp_path, limits={"*": 0}) as stood:
        failed = stood.ran(only)[-1]
        assert failed.state == "failed"
        assert "the quota does not let make run" in failed.message
        assert "Standard_DS3_v2" in failed.message


def test_credentials_that_expire_are_told(stages: Stages, tmp_path: Path) -> None:
    expired = [{"host": "^management", "method": "PUT", "error": "ExpiredAuthenticationToken",
                "times": 99}]  # fmt: skip
    with (
        azure(tmp_path, faults=expired) as stood,
        pytest.raises(CredentialsError, match=r"have expired, and cannot make the environment"),
    ):
        stood.submitted(stages())


@pytest.mark.parametrize("error", ["TooManyRequests", "InternalServerError", ""])
def test_a_service_that_fails_for_a_while_fails_no_run(
    stages: Stages, tmp_path: Path, error: str
) -> None:
    """A run that trains for hours must outlive an hour's bad minute; empty: the answer is lost."""
    calls = (
        {"path": "/children$"},
        {"path": "/runs/r-1$"},
        {"method": "PUT", "path": "/environments/"},
        {"method": "PUT", "path": "/jobs/"},
    )
    faults = [{**call, "error": error, "times": 1} for call in calls]
    busy = error and "ServerBusy"  # storage has its own way to say that it is asked too much
    faults.append({"host": "blob", "method": "PUT", "error": busy, "times": 1})
    with azure(tmp_path, faults=faults) as stood:
        assert stood.ran(some(stages(), "make", "judge", "last"))[-1].state == "succeeded"
        assert stood.started() == ["r-1", "r-1-last"]


@pytest.mark.parametrize("error", ["UserError", "AuthorizationFailed"])
def test_a_job_that_is_there_is_attached_to_whatever_the_second_put_is_answered(
    stages: Stages, tmp_path: Path, error: str
) -> None:
    """The first answer is lost, and Azure refuses its repetition: the job runs, and is paid for."""
    job = {"host": "^management", "method": "PUT", "path": "/jobs/"}
    with azure(tmp_path, faults=[{**job, "times": 1}, {**job, "error": error}]) as stood:
        assert stood.ran(some(stages(), "make", "judge", "last"))[-1].state == "succeeded"
        assert stood.started() == ["r-1", "r-1-last"]
        assert len(stood.sent("ARM PUT jobs")) == 3


def test_a_job_that_is_refused_and_is_not_there_is_told(stages: Stages, tmp_path: Path) -> None:
    """Looking once more must not make a success of what Azure did not do."""
    job = {"host": "^management", "method": "PUT", "path": "/jobs/", "error": "AuthorizationFailed"}
    with azure(tmp_path, faults=[job]) as stood:
        with pytest.raises(CredentialsError, match="Azure may not start the job r-1"):
            stood.submitted(stages())
        assert stood.started() == []


def test_every_step_is_told_however_many_pages_they_fill(
    stages: Stages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step of the second page would be told as never reached, and be run and paid for again."""
    monkeypatch.setattr(history, "_PAGE", 2)
    with azure(tmp_path) as stood:
        found = states(stood.ran(stages()))
        assert found == dict.fromkeys(
            ("", "make", "judge", "unsteady", "end", "use", "last"), "succeeded"
        )


def test_a_workspace_may_have_a_space_in_its_name(stages: Stages, tmp_path: Path) -> None:
    """Azure has the folders of a job where no name has one; on this machine a person names them."""
    only = some(stages(), "make")
    with azure(tmp_path / "my models") as stood:
        assert stood.ran(only)[-1].state == "succeeded"


def test_two_commands_at_once_are_one_run(stages: Stages, tmp_path: Path) -> None:
    plan = some(stages(), "make", "judge", "last")
    with azure(tmp_path) as stood:
        threads = [threading.Thread(target=stood.submitted, args=(plan,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert list(client.follow(RUN, stood.settings))[-1].state == "succeeded"
        assert stood.started() == ["r-1", "r-1-last"]


def test_no_secret_is_kept_of_a_run(stages: Stages, tmp_path: Path) -> None:
    """Whoever may list runs reads their records; a value is for the step alone."""
    plan = stages()
    secret = plan.step("make")._replace(env={"STRIPE_KEY": "sk_live_0123"})
    with azure(tmp_path) as stood:
        stood.ran(plan._replace(steps=(secret,)))
        key = "trefoil/records/r-1/0001/request.json"
        kept = connected(stood.settings).blobs.download_blob(key).readall()
        assert b'"STRIPE_KEY": "***"' in kept
        assert b"sk_live_0123" not in kept


@pytest.mark.parametrize("steps", [("make", "judge", "last"), ("make", "last")])
def test_where_only_the_exit_handler_failed_it_alone_is_run_again(
    stages: Stages, tmp_path: Path, steps: tuple[str, ...]
) -> None:
    plan = stages()
    plan = some(plan, *steps)
    with azure(tmp_path, no_capacity=[{"step": "last", "times": 1}]) as stood:
        assert states(stood.ran(plan))[""] == "failed"
        events = states(stood.ran(plan))
        assert (events["last"], events[""]) == ("succeeded", "succeeded")
        jobs = [each["step"] for each in stood.jobs() if each["attempts"]]
        assert sorted(jobs) == sorted(steps)
