"""The verbs, by the real kfp.Client against the stand-in for Kubeflow Pipelines."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from infra.errors import CredentialsError, InputError, ProviderError
from infra.kind import PROVIDER, KindSettings
from infra.kind.pages import Pages
from infra.kind.server import Server
from infra.plan import RunRef
from infra.rehearsal.faults import Faults
from infra.rehearsal.log import Log
from infra.rehearsal.server import Answer, Call, serving
from tests.infra.kind.rehearsing import (
    SETTINGS,
    digests_of,
    local,
    plan_of,
    standing,
    states,
    values_of,
)

ROOT = Path(__file__).parents[3]
Compiled = Callable[[str], dict[str, Any]]


def test_a_run_from_its_start_to_its_end(compiled: Compiled, tmp_path: Path) -> None:
    """Every verb must tell the same run, by our names of steps, with values of their types."""
    plan = plan_of(compiled("stages"))
    with standing(tmp_path) as stood:
        events = stood.ran(plan)
        assert states(events) == {
            "": "succeeded", "make": "succeeded", "judge": "succeeded", "unsteady": "succeeded",
            "end": "succeeded", "use": "succeeded", "last": "succeeded",
        }  # fmt: skip
        run, settings = RunRef("kind", "r-1"), stood.settings
        status = PROVIDER.status(run, settings)
        assert (status.state, status.steps["use"].state) == ("succeeded", "succeeded")
        outputs = PROVIDER.outputs(run, settings)
        assert outputs["make"]["size"] == 3
        assert outputs["judge"]["verdict"] is True
        assert Path(str(outputs["use"]["out"])).read_text() == "abc!"
        lines = list(PROVIDER.logs(run, settings, "make", follow=False))
        assert [(line.step, line.text) for line in lines] == [("make", "made abc")]
        assert PROVIDER.list_runs(settings) == [run]
        history = PROVIDER.history(run, settings)
        assert history.plan is not None
        assert history.moments[0].event.state == "running"
        assert history.moments[-1].event == events[-1]._replace(
            seconds=history.moments[-1].event.seconds
        )
        made = {m.event.state: m for m in history.moments if m.event.step == "make"}
        assert made["running"].at is not None
        assert made["succeeded"].at is not None
        assert made["running"].at <= made["succeeded"].at
        assert not PROVIDER.cancel(run, settings)


def test_a_failing_step_shows_its_last_lines(compiled: Compiled, tmp_path: Path) -> None:
    """A person should not have to look for the pod to know what went wrong."""
    with standing(tmp_path) as stood:
        events = stood.ran(plan_of(compiled("stages"), how="fail"))
        found = states(events)
        assert (found["end"], found["last"], found[""]) == ("failed", "succeeded", "failed")
        failed = next(event for event in events if event.state == "failed")
        assert failed.message.startswith("end ended with exit code 3\n  its last lines:")
        assert "the robot's disk is full" in failed.message
        assert events[-1].message == failed.message
        assert events[-1].code == 1
        assert "end failed" in PROVIDER.status(RunRef("kind", "r-1"), stood.settings).message


def test_bad_input_ends_the_command_with_code_2(compiled: Compiled, tmp_path: Path) -> None:
    with standing(tmp_path) as stood:
        assert stood.ran(plan_of(compiled("stages"), how="input"))[-1].code == 2


def test_a_retry_is_seen(compiled: Compiled, tmp_path: Path) -> None:
    """A step that only works at the second try hides a fault, if nobody hears of the first."""
    with standing(tmp_path) as stood:
        events = stood.ran(plan_of(compiled("stages")))
        ended = next(e for e in events if e.step == "unsteady" and e.state == "succeeded")
        assert ended.attempt == 2
        lines = list(PROVIDER.logs(RunRef("kind", "r-1"), stood.settings, "unsteady", False))
        assert "not yet" in [line.text for line in lines]
        assert lines[-1].text == "at last"


def test_a_gate_that_says_no_skips_what_is_behind_it(compiled: Compiled, tmp_path: Path) -> None:
    with standing(tmp_path) as stood:
        events = stood.ran(plan_of(compiled("stages"), passed=False))
        skipped = [event for event in events if event.step == "use"]
        assert [(e.state, e.message) for e in skipped] == [
            ("skipped", "its condition does not hold")
        ]
        assert events[-1].state == "succeeded"
        assert "use" not in PROVIDER.outputs(RunRef("kind", "r-1"), stood.settings)
        why = PROVIDER.why(RunRef("kind", "r-1"), stood.settings, "use")
        assert why == ["use was skipped: its condition does not hold"]


def test_a_second_run_takes_from_the_cache_what_did_not_change(
    compiled: Compiled, tmp_path: Path
) -> None:
    with standing(tmp_path) as stood:
        stood.ran(plan_of(compiled("stages")))
        second = states(stood.ran(plan_of(compiled("stages"), passed=False), "r-2"))
        assert (second["make"], second["judge"]) == ("cached", "succeeded")
        assert (second["end"], second["last"]) == ("succeeded", "succeeded")
        outputs = PROVIDER.outputs(RunRef("kind", "r-2"), stood.settings)
        assert outputs["make"]["size"] == 3
        run = RunRef("kind", "r-2")
        assert PROVIDER.why(run, stood.settings, "judge") == [
            "since r-1:", "input passed changed from true to false"
        ]  # fmt: skip
        same = PROVIDER.why(run, stood.settings, "make")
        assert same == ["nothing that goes into make changed since r-1: it is cached"]
        assert "caching is off" in PROVIDER.why(run, stood.settings, "last")[0]
        assert PROVIDER.list_runs(stood.settings) == [run, RunRef("kind", "r-1")]


def test_the_same_run_twice_is_one_run(compiled: Compiled, tmp_path: Path) -> None:
    """A repeated command must not pay for the training twice."""
    plan = plan_of(compiled("stages"))
    with standing(tmp_path) as stood:
        stood.ran(plan)
        stood.ran(plan)
        assert len([c for c in stood.calls() if c["method"] == "POST" and _creates(c)]) == 1


def test_the_same_run_twice_at_once_is_one_run(
    compiled: Compiled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """KFP takes both, and the training would be paid for twice."""
    looking, find = threading.Barrier(2), Server.find

    def together(server: Server, experiment: str, name: str) -> Any:
        found = find(server, experiment, name)
        with contextlib.suppress(threading.BrokenBarrierError):
            looking.wait(1)  # both know of no run, unless one waits for the other
        return found

    plan = plan_of(compiled("stages"))
    with standing(tmp_path) as stood:
        monkeypatch.setattr(Server, "find", together)
        commands = [threading.Thread(target=stood.submitted, args=(plan,)) for _ in range(2)]
        for command in commands:
            command.start()
        for command in commands:
            command.join()
        monkeypatch.undo()
        list(PROVIDER.follow(RunRef("kind", "r-1"), stood.settings))
        assert [call["outcome"] for call in stood.calls() if _creates(call)] == ["200"]


def test_a_workspace_that_cannot_be_written_is_one_sentence(
    compiled: Compiled, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with standing(tmp_path) as stood:
        settings = stood.settings._replace(workspace=str(tmp_path / "file" / "below"))
        with pytest.raises(InputError, match=r"the workspace .* cannot be written"):
            PROVIDER.submit(stood.request(plan_of(compiled("stages"))), settings, dict)


def test_a_failed_run_is_started_anew(compiled: Compiled, tmp_path: Path) -> None:
    """What succeeded before comes from the cache; the newest run of a name is the one meant."""
    plan = plan_of(compiled("stages"), how="fail")
    with standing(tmp_path) as stood:
        stood.ran(plan)
        assert states(stood.ran(plan))["make"] == "cached"
        assert PROVIDER.list_runs(stood.settings) == [RunRef("kind", "r-1")]


def test_artefacts_are_those_of_the_run_that_is_meant(compiled: Compiled, tmp_path: Path) -> None:
    """The same command after a failure makes a new run; the old model must not be taken for its."""
    told = []
    with standing(tmp_path) as stood:
        for text in ("old", "new"):
            plan = plan_of(compiled("stages"), text=text, how="fail")
            stood.ran(plan)
            left = PROVIDER.outputs(RunRef("kind", "r-1"), stood.settings)
            told.append(Path(str(left["use"]["out"])).read_text())
    assert told == ["old!", "new!"]


def test_a_copy_that_was_cut_off_is_made_again(tmp_path: Path) -> None:
    """Killed between making a folder and filling it, a command must not trust the empty one."""

    class Store:
        def download(self, path: str, _: int) -> bytes | None:
            return b"{}" if path == "minio/bucket/left/metrics.json" else None

    place = tmp_path / "metrics"
    place.mkdir()
    pages = Pages(cast("Server", Store()), SETTINGS, {"run_id": "id"})
    assert pages.fetched("minio://bucket/left", place) == place
    assert (place / "metrics.json").read_text() == "{}"


def test_a_lost_answer_makes_no_second_run(compiled: Compiled, tmp_path: Path) -> None:
    with standing(tmp_path, "lost-response") as stood:
        assert stood.ran(plan_of(compiled("stages")))[-1].state == "succeeded"
        created = [call["outcome"] for call in stood.calls() if _creates(call)]
        assert created == ["200, answer lost"]


def test_a_server_that_is_away_for_a_moment_is_waited_for(
    compiled: Compiled, tmp_path: Path
) -> None:
    with standing(tmp_path, "server-error") as stood:
        assert stood.ran(plan_of(compiled("stages")))[-1].state == "succeeded"
        assert {"502", "503"} <= {call["outcome"] for call in stood.calls()}


def test_an_image_that_cannot_be_pulled_ends_the_run(compiled: Compiled, tmp_path: Path) -> None:
    """KFP leaves such a run running for ever."""
    with standing(tmp_path, "image-pull") as stood:
        settings = stood.settings._replace(start_deadline=0.3)
        run = stood.submitted(plan_of(compiled("stages")))
        events = list(PROVIDER.follow(run, settings))
        waiting = next(event for event in events if event.state == "waiting")
        assert waiting.message == 'ImagePullBackOff: Back-off pulling image "python:3.11-slim"'
        assert "did not start within 0.3 s: ImagePullBackOff" in events[-1].message
        assert events[-1].state == "failed"
        assert PROVIDER.status(run, settings).state == "cancelled"


def test_a_cancelled_run_is_at_its_end(compiled: Compiled, tmp_path: Path) -> None:
    """kfp's own wait polls such a run until its timeout."""
    with standing(tmp_path, "cancel") as stood:
        events = stood.ran(plan_of(compiled("stages"), how="wait"))
        assert events[-1].state == "cancelled"
        assert states(events)["end"] == "cancelled"
        assert states(events)["last"] == "succeeded"


def test_a_run_can_be_cancelled_from_elsewhere(compiled: Compiled, tmp_path: Path) -> None:
    with standing(tmp_path) as stood:
        run = stood.submitted(plan_of(compiled("stages"), how="wait"))
        answers: list[bool] = []

        def cancel() -> None:
            for line in PROVIDER.logs(run, stood.settings, "end", follow=True):
                if line.text == "waiting":
                    answers.append(PROVIDER.cancel(run, stood.settings))
                    return

        other = threading.Thread(target=cancel)
        other.start()
        events = list(PROVIDER.follow(run, stood.settings))
        other.join()
        assert (events[-1].state, answers) == ("cancelled", [True])
        assert states(events)["use"] == "succeeded"
        assert not PROVIDER.cancel(run, stood.settings)


def test_steps_of_loops_and_inner_pipelines_are_told_apart(
    compiled: Compiled, tmp_path: Path
) -> None:
    """KFP calls them all alike; a status of the wrong one would be believed."""
    plan = plan_of(compiled("loops"))
    here = local(plan, tmp_path / "local")
    with standing(tmp_path) as stood:
        events = stood.ran(plan)
        there = PROVIDER.outputs(RunRef("kind", "r-1"), stood.settings)
    assert states(events) == here.states
    assert {name: values_of(plan, name, left) for name, left in there.items()} == here.values


def test_artefacts_are_those_of_local_processes(compiled: Compiled, tmp_path: Path) -> None:
    """The same plan makes the same bytes, wherever it runs."""
    plan = plan_of(compiled("stages"))
    here = local(plan, tmp_path / "local")
    with standing(tmp_path) as stood:
        stood.ran(plan)
        there = PROVIDER.outputs(RunRef("kind", "r-1"), stood.settings)
    assert {name: digests_of(plan, name, left) for name, left in there.items()} == here.digests
    assert len(here.digests["use"]) == 1


def test_a_parameter_that_the_pipeline_has_not_is_refused_in_kfps_words(
    compiled: Compiled, tmp_path: Path
) -> None:
    over = {"run": {"runtime_config": {"parameters": {"colour": "red"}}}}
    with (
        standing(tmp_path, overrides=over) as stood,
        pytest.raises(InputError, match=r"are not required by pipeline: colour"),
    ):
        stood.submitted(plan_of(compiled("stages")))


def test_an_unknown_run_is_one_sentence(tmp_path: Path) -> None:
    with (
        standing(tmp_path) as stood,
        pytest.raises(InputError, match="there is no run r-9 in the experiment trefoil of http"),
    ):
        PROVIDER.status(RunRef("kind", "r-9"), stood.settings)


def test_an_unknown_step_is_one_sentence(compiled: Compiled, tmp_path: Path) -> None:
    with standing(tmp_path) as stood:
        run = stood.submitted(plan_of(compiled("stages")))
        list(PROVIDER.follow(run, stood.settings))
        with pytest.raises(InputError, match="run r-1 has no step mke"):
            list(PROVIDER.logs(run, stood.settings, "mke", follow=False))
        with pytest.raises(InputError, match="run r-1 has no step mke"):
            PROVIDER.why(run, stood.settings, "mke")


def test_another_version_of_the_server_is_refused(compiled: Compiled, tmp_path: Path) -> None:
    """A field that an older server does not know is lost without a word."""
    with (
        standing(tmp_path, "version") as stood,
        pytest.raises(InputError, match=r"is 2\.5\.0 and the SDK here is kfp 2\.17\.0.*2\.5\.\*"),
    ):
        stood.submitted(plan_of(compiled("stages")))


def test_no_server_is_one_sentence() -> None:
    settings = SETTINGS._replace(host="http://127.0.0.1:9")
    with pytest.raises(
        ProviderError, match=r"no Kubeflow Pipelines answers at http://127\.0\.0\.1:9"
    ):
        PROVIDER.list_runs(settings)


@pytest.mark.parametrize(
    ("answered", "error", "words"),
    [
        (Answer(401, b"who are you"), CredentialsError, r"refuses us \(401: who are you\)"),
        (Answer(403, b'{"message": "no"}'), CredentialsError, r"refuses us \(403: no\)"),
        (Answer(502, b"bad gateway"), ProviderError, "answers 502: bad gateway"),
        (Answer(200, b"<html>"), ProviderError, "is not Kubeflow Pipelines; see the setting host"),
    ],
)
def test_another_answer_is_one_sentence(
    tmp_path: Path, answered: Answer, error: type[Exception], words: str
) -> None:
    def handle(_: Call) -> Answer:
        return answered

    with (
        serving(handle, Log(tmp_path / "log"), Faults()) as host,
        pytest.raises(error, match=words),
    ):
        PROVIDER.list_runs(KindSettings(host=host))


def context(monkeypatch: pytest.MonkeyPatch, file: Path, text: str) -> None:
    """Let kfp find a context file."""
    import kfp

    file.write_text(text)
    monkeypatch.setattr(kfp.Client, "_LOCAL_KFP_CONTEXT", str(file))


def test_the_server_is_asked_with_the_credentials_that_kfp_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server behind a login would refuse the first look, though the client has its cookie."""

    def handle(call: Call) -> Answer:
        if call.header("Cookie") != "session=abc":
            return Answer(401, b"who are you")
        return Answer(200, b'{"tag_name": "2.17.0", "multi_user": true}')

    told = {"client_authentication_cookie": "session=abc", "namespace": ""}
    context(monkeypatch, tmp_path / "context.json", json.dumps(told))
    with serving(handle, Log(tmp_path / "log"), Faults()) as host:
        assert PROVIDER.list_runs(KindSettings(host=host)) == []
    assert json.loads((tmp_path / "context.json").read_text()) == told


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_a_damaged_context_of_kfp_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    context(monkeypatch, tmp_path / "context.json", text)
    with pytest.raises(InputError, match=r"kfp cannot read .*context\.json .*mend or remove it"):
        PROVIDER.list_runs(KindSettings(host="http://127.0.0.1:9"))


def test_a_killed_command_is_taken_up_by_the_same_command(
    compiled: Compiled, tmp_path: Path
) -> None:
    """kill -9 at any moment; the same command finishes the run and repeats nothing."""
    ir = tmp_path / "stages.json"
    ir.write_text(json.dumps(compiled("stages")["pipeline"]))
    command = [
        sys.executable, "-m", "pipelines.run", "--provider", "kind", "--rehearse",
        "--pipeline", str(ir), "--param", "how=wait", "--set", "tracking_uri=none",
        "--set", "image_tag=1",
    ]  # fmt: skip
    environment = {**os.environ, "TREFOIL_WORKSPACE": str(tmp_path / "w")}
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "▶ end" in line:
            break
    process.kill()
    process.stderr.close()
    process.wait()
    again = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    assert again.stderr is not None
    told = []
    for line in again.stderr:
        told.append(line)
        if "▶ end" in line:
            break
    again.send_signal(signal.SIGINT)
    told += list(again.stderr)
    again.stderr.close()
    assert again.wait() == 130
    assert any("✓ make         cached" in line or "make         succeeded" in line for line in told)
    calls = (tmp_path / "w/rehearsal/kind/requests.jsonl").read_text().splitlines()
    assert len([c for c in map(json.loads, calls) if _creates(c)]) == 1


def _creates(call: dict[str, Any]) -> bool:
    return call["method"] == "POST" and str(call["path"]).endswith("/runs")
