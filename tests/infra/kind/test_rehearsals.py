"""What becomes of a rehearsal when others are about, when it is killed, when its disk is full."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.errors import InputError, ProviderError
from infra.kind import PROVIDER
from infra.local.rundir import RunDirectory
from infra.local.scheduler import Scheduler
from infra.plan import Event, RunRef
from infra.rehearsal.executor import Execution
from tests.infra.kind.rehearsing import Stood, plan_of, standing, states

ROOT = Path(__file__).parents[3]
Compiled = Callable[[str], dict[str, Any]]
RUN = RunRef("kind", "r-1")


@contextlib.contextmanager
def waiting(compiled: Compiled, workspace: Path) -> Iterator[Stood]:
    """A rehearsal one step of which goes on until it is ended."""
    with standing(workspace) as stood:
        stood.submitted(plan_of(compiled("stages"), how="wait"))
        printed = PROVIDER.logs(RUN, stood.settings, "end", follow=True)
        assert next(line.text for line in printed) == "waiting"
        yield stood


def test_two_at_once_in_a_workspace_are_refused_by_one_sentence(
    compiled: Compiled, tmp_path: Path
) -> None:
    """Both would execute what the first has begun, and forget what the other did."""
    with waiting(compiled, tmp_path), pytest.raises(InputError) as refused, standing(tmp_path):
        pass
    folder = tmp_path / "kubeflow"
    assert str(refused.value) == (
        f"another rehearsal goes on in {folder} (process {os.getpid()}); wait for its end, or "
        "choose another workspace with TREFOIL_WORKSPACE"
    )
    with standing(tmp_path) as stood:  # and once it is over, what it left is taken up
        assert PROVIDER.status(RUN, stood.settings).state == "running"
        PROVIDER.cancel(RUN, stood.settings)
        assert list(PROVIDER.follow(RUN, stood.settings))[-1].state == "cancelled"


def test_a_look_from_elsewhere_can_cancel_it(compiled: Compiled, tmp_path: Path) -> None:
    """It said that it had, and the run went on."""
    with waiting(compiled, tmp_path) as stood:
        with standing(tmp_path, None) as look:
            assert PROVIDER.cancel(RUN, look.settings)
        events = list(PROVIDER.follow(RUN, stood.settings))
    assert (states(events)[""], states(events)["last"]) == ("cancelled", "succeeded")


def test_what_a_killed_one_left_running_is_ended_by_a_cancel(
    compiled: Compiled, tmp_path: Path
) -> None:
    """Nobody is there to hand the wish on to; the step must not go on for ever."""
    script = (
        "import sys\nfrom pathlib import Path\nfrom tests.infra.kind.rehearsing import *\n"
        "with standing(Path(sys.argv[1])) as stood:\n"
        "    plan = plan_of(document('stages', Path(sys.argv[1]) / 'ir'), how='wait')\n"
        "    run = stood.submitted(plan)\n"
        "    for line in PROVIDER.logs(run, stood.settings, 'end', follow=True):\n"
        "        print(line.text, flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as killed:
        assert killed.stdout is not None
        assert killed.stdout.readline() == "waiting\n"
        killed.kill()
    (alive,) = tmp_path.glob("kubeflow/runs/*/steps/end/alive")
    step = int(alive.read_text())
    os.kill(step, 0)
    with standing(tmp_path, None) as look:
        assert PROVIDER.cancel(RUN, look.settings)
        assert PROVIDER.status(RUN, look.settings).state == "cancelled"
        assert not PROVIDER.cancel(RUN, look.settings)
    with pytest.raises(ProcessLookupError):
        _gone(step)


def _gone(pid: int) -> None:
    """Raises ProcessLookupError once there is no such process, or none but a dead one."""
    for _ in range(100):
        os.kill(pid, 0)
        if Path(f"/proc/{pid}/stat").exists() and ") Z " in Path(f"/proc/{pid}/stat").read_text():
            raise ProcessLookupError
        time.sleep(0.05)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"id": "a", "number": 1, "posted": 1}'])
def test_a_damaged_record_is_one_sentence(compiled: Compiled, tmp_path: Path, text: str) -> None:
    with standing(tmp_path) as stood:
        stood.ran(plan_of(compiled("stages")))
    (record,) = tmp_path.glob("kubeflow/records/*.json")
    record.write_text(text)
    for scenario in ("plain", None):
        words = rf"{record.name} .*; remove it and give the command"
        with pytest.raises(InputError, match=words), standing(tmp_path, scenario):
            pass
    record.unlink()
    with standing(tmp_path) as stood:
        assert PROVIDER.list_runs(stood.settings) == []


def test_a_run_is_written_down_before_it_begins(
    compiled: Compiled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in between, a step would go on that no later command knows of."""
    kept: list[list[str]] = []
    start = Execution.start

    def seen(own: Execution, *given: Any) -> None:
        kept.append([each.name for each in tmp_path.glob("kubeflow/records/*.json")])
        start(own, *given)

    monkeypatch.setattr(Execution, "start", seen)
    with standing(tmp_path) as stood:
        stood.ran(plan_of(compiled("stages")))
    assert [len(each) for each in kept] == [1]


def test_a_run_that_cannot_begin_is_not_kept(
    compiled: Compiled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise ProviderError("no Docker daemon answers")

    monkeypatch.setattr(Execution, "start", refuse)
    with standing(tmp_path) as stood:
        with pytest.raises(InputError, match="cannot execute this pipeline: no Docker daemon"):
            stood.submitted(plan_of(compiled("stages")))
        assert PROVIDER.list_runs(stood.settings) == []
    assert not list(tmp_path.glob("kubeflow/records/*"))


def test_to_ask_again_for_the_end_ends_no_exit_handler(compiled: Compiled, tmp_path: Path) -> None:
    """KFP runs it however often somebody presses the button."""
    with waiting(compiled, tmp_path) as stood:
        assert PROVIDER.cancel(RUN, stood.settings)
        assert PROVIDER.cancel(RUN, stood.settings)
        found = states(list(PROVIDER.follow(RUN, stood.settings)))
    assert (found[""], found["last"]) == ("cancelled", "succeeded")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "events"), "the disk is full: events"),
        (ProviderError("the daemon is gone"), "the daemon is gone"),
        (RuntimeError("a mistake of ours"), "the rehearsal itself failed: RuntimeError: a mistake"),
    ],
    ids=["full", "told", "ours"],
)
def test_what_stops_the_engine_fails_the_run(
    compiled: Compiled,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    words: str,
) -> None:
    """A run that nobody drives any more must not be told to be running for ever."""
    finish, record = Scheduler._finish, RunDirectory.record

    def stop(*given: Any) -> Event:
        finish(*given)
        monkeypatch.setattr(RunDirectory, "record", refuse)
        raise error

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Scheduler, "_finish", stop)
    with standing(tmp_path) as stood:
        events = stood.ran(plan_of(compiled("stages")))
        assert (events[-1].step, events[-1].state) == ("", "failed")
        assert words in events[-1].message
        status = PROVIDER.status(RUN, stood.settings)
        assert status.state == "failed"
        assert words in status.message
    monkeypatch.setattr(RunDirectory, "record", record)
    monkeypatch.setattr(Scheduler, "_finish", finish)
    with standing(tmp_path) as stood:  # with room again, the same command goes on
        assert states(stood.ran(plan_of(compiled("stages"))))[""] == "succeeded"


def test_a_record_is_private_and_without_secrets_once_the_run_has_ended(
    compiled: Compiled, tmp_path: Path
) -> None:
    """Whoever goes on with a run needs them; afterwards they would lie about for ever."""
    document = compiled("stages")
    for executor in document["pipeline"]["deploymentSpec"]["executors"].values():
        executor["container"]["env"] = [{"name": "STRIPE_KEY", "value": "s3cret"}]
    with standing(tmp_path) as stood:
        stood.submitted(plan_of(document, how="wait"))
        (record,) = tmp_path.glob("kubeflow/records/*.json")
        assert "s3cret" in record.read_text()
        assert record.stat().st_mode & 0o777 == 0o600
        PROVIDER.cancel(RUN, stood.settings)
        assert list(PROVIDER.follow(RUN, stood.settings))[-1].state == "cancelled"
    assert "s3cret" not in record.read_text()
    assert record.stat().st_mode & 0o777 == 0o600
    with standing(tmp_path, None) as look:
        assert PROVIDER.status(RUN, look.settings).state == "cancelled"
