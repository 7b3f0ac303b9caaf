"""Whatever is killed at whatever moment, the same command finishes the run and trusts nothing half.

Each run lives in a process of its own (``tests.infra.local.driving``) so that it can be killed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from infra import provider as providers
from infra.local import LocalSettings
from infra.local.rundir import RunDirectory
from infra.plan import RunRef
from tests.infra.local.driving import run, states, step


class Driven:
    """A run in a process of its own."""

    def __init__(self, workspace: Path, steps: list[dict[str, Any]]) -> None:
        plan = workspace.with_suffix(".json")
        plan.write_text(json.dumps(steps))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.infra.local.driving", str(workspace), str(plan)],
            stdout=subprocess.PIPE,
            text=True,
        )

    def wait_for(self, there: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not there():
            assert time.monotonic() < deadline, "it never came"
            assert self.process.poll() is None, "the run ended too early"
            time.sleep(0.01)

    def end(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def states(self) -> dict[str, str]:
        out, _ = self.process.communicate(timeout=60)
        return {name: state for name, state, _ in map(json.loads, out.splitlines())}


@pytest.fixture
def drive(tmp_path: Path) -> Iterator[Callable[[list[dict[str, Any]]], Driven]]:
    started: list[Driven] = []

    def start(steps: list[dict[str, Any]]) -> Driven:
        started.append(Driven(tmp_path / "w", steps))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.communicate()


def counted(tmp_path: Path, name: str) -> str:
    """A script that notes that it ran, writes half of its output, waits, and writes the rest."""
    return (
        f"open({str(tmp_path / name)!r}, 'a').write('ran\\n'); out = open(place['o'], 'w'); "
        "out.write('half '); out.flush(); "
        f"open({str(tmp_path / (name + '.half'))!r}, 'w').close(); "
        f"[time.sleep(0.01) for _ in range(6000) if not os.path.exists({str(tmp_path / 'go')!r})]; "
        "out.write('whole'); out.close()"
    )


def ended(pid: int) -> bool:
    """Whether a process is gone, or dead and merely not reaped yet."""
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"


def times(tmp_path: Path, name: str) -> int:
    file = tmp_path / name
    return len(file.read_text().splitlines()) if file.exists() else 0


def plan(tmp_path: Path) -> list[dict[str, Any]]:
    first = (
        f"open({str(tmp_path / 'first')!r}, 'a').write('ran\\n'); open(place['o'], 'w').write('1')"
    )
    effect = first.replace("first", "effect")
    return [
        {"name": "first", "script": first, "makes": ["o"]},
        {"name": "effect", "script": effect, "makes": ["o"], "cache": False,
         "takes": {"i": "first.o"}},
        {"name": "second", "script": counted(tmp_path, "second"), "makes": ["o"],
         "takes": {"i": "effect.o"}},
    ]  # fmt: skip


def whole(tmp_path: Path) -> str:
    entry = RunDirectory(tmp_path / "w", "test-1").step("second").entry()
    assert entry is not None
    return entry.output("o").read_text()


def test_a_killed_run_is_finished_without_redoing_what_had_ended(
    tmp_path: Path, drive: Callable[[list[dict[str, Any]]], Driven]
) -> None:
    """Neither the cached step nor the one with effects (a registration!) happens twice."""
    driven = drive(plan(tmp_path))
    driven.wait_for((tmp_path / "second.half").exists)
    driven.end(signal.SIGKILL)
    driven.process.wait()
    (tmp_path / "go").touch()
    again = drive(plan(tmp_path)).states()
    assert again == {"": "succeeded", "first": "cached", "effect": "cached", "second": "succeeded"}
    assert (times(tmp_path, "first"), times(tmp_path, "effect")) == (1, 1)
    assert whole(tmp_path) == "half whole"


def test_the_orphan_of_a_killed_run_is_ended_before_its_step_starts_again(
    tmp_path: Path, drive: Callable[[list[dict[str, Any]]], Driven]
) -> None:
    """Two trainings must never write one checkpoint directory at the same time."""
    driven = drive(plan(tmp_path))
    driven.wait_for((tmp_path / "second.half").exists)
    orphan = int(RunDirectory(tmp_path / "w", "test-1").step("second").alive.read_text())
    driven.end(signal.SIGKILL)
    driven.process.wait()
    os.kill(orphan, 0)  # it lives on
    (tmp_path / "second.half").unlink()
    after = drive(plan(tmp_path))
    after.wait_for((tmp_path / "second.half").exists)
    assert ended(orphan)
    (tmp_path / "go").touch()
    assert after.states()[""] == "succeeded"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_step_runs_the_exit_handler_and_can_be_resumed(
    tmp_path: Path, drive: Callable[[list[dict[str, Any]]], Driven], number: signal.Signals
) -> None:
    handler = {"name": "last", "makes": ["o"], "always": True, "after": ["second"], "cache": False}
    driven = drive([*plan(tmp_path), handler])
    driven.wait_for((tmp_path / "second.half").exists)
    driven.end(number)
    assert driven.states() == {
        "": "cancelled", "first": "succeeded", "effect": "succeeded", "second": "cancelled",
        "last": "succeeded",
    }  # fmt: skip
    (tmp_path / "go").touch()
    assert drive([*plan(tmp_path), handler]).states()[""] == "succeeded"
    assert (times(tmp_path, "first"), times(tmp_path, "effect")) == (1, 1)


def test_a_step_that_ignores_the_signal_is_killed_by_the_second_one(
    tmp_path: Path, drive: Callable[[list[dict[str, Any]]], Driven]
) -> None:
    deaf = (
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        f"open({str(tmp_path / 'deaf')!r}, 'w').close(); time.sleep(60)"
    )
    driven = drive([{"name": "deaf", "script": deaf}])
    driven.wait_for((tmp_path / "deaf").exists)
    driven.end(signal.SIGINT)
    time.sleep(0.3)
    assert driven.process.poll() is None
    driven.end(signal.SIGINT)
    assert driven.states() == {"": "cancelled", "deaf": "cancelled"}


def test_a_step_may_save_itself_when_the_run_is_ended(
    tmp_path: Path, drive: Callable[[list[dict[str, Any]]], Driven]
) -> None:
    saving = (
        "import signal; "
        f"save = lambda *_: (open({str(tmp_path / 'saved')!r}, 'w').close(), sys.exit(143)); "
        "signal.signal(signal.SIGTERM, save); "
        f" open({str(tmp_path / 'ready')!r}, 'w').close(); time.sleep(60)"
    )
    driven = drive([{"name": "train", "script": saving}])
    driven.wait_for((tmp_path / "ready").exists)
    driven.end(signal.SIGTERM)
    assert driven.states() == {"": "cancelled", "train": "cancelled"}
    assert (tmp_path / "saved").exists()


def test_the_same_run_twice_at_once_is_one_run(
    tmp_path: Path, drive: Callable[[list[dict[str, Any]]], Driven]
) -> None:
    """The second attaches: it sees the first one's events and starts nothing."""
    one = drive(plan(tmp_path))
    one.wait_for((tmp_path / "second.half").exists)
    two = drive(plan(tmp_path))
    time.sleep(0.5)
    (tmp_path / "go").touch()
    assert one.states() == two.states()
    assert times(tmp_path, "second") == 1


def test_two_runs_at_once_do_not_disturb_each_other(
    tmp_path: Path, drive: Callable[[list[dict[str, Any]]], Driven]
) -> None:
    """Both compute the same step at the same time; whoever is second uses the first one's entry."""
    one = drive(plan(tmp_path))
    one.wait_for((tmp_path / "second.half").exists)
    (tmp_path / "go").touch()
    mine = run(
        tmp_path / "w",
        *(step(**each) for each in plan(tmp_path)),
        run_id="test-2",
    )
    assert states(mine)[""] == "succeeded"
    assert one.states()[""] == "succeeded"
    assert whole(tmp_path) == "half whole"


def test_kill_9_at_any_moment(
    tmp_path: Path, drive: Callable[[list[dict[str, Any]]], Driven]
) -> None:
    """The driver dies at another moment each time; the run still ends whole."""
    (tmp_path / "go").touch()
    for delay in [0.05 + 0.02 * n for n in range(12)]:
        driven = drive(plan(tmp_path))
        time.sleep(delay)
        driven.end(signal.SIGKILL)
        driven.process.wait()
    assert drive(plan(tmp_path)).states()[""] == "succeeded"
    assert whole(tmp_path) == "half whole"


def test_a_torn_event_line_is_passed_over(tmp_path: Path) -> None:
    run(tmp_path, step("one", makes=["o"]))
    directory = RunDirectory(tmp_path, "test-1")
    with (directory.root / "events.jsonl").open("a") as events:
        events.write('{"step": "one", "sta')
    assert directory.status().state == "succeeded"
    before = len(list(directory.events()))
    again = run(tmp_path, step("one", makes=["o"]))
    assert list(directory.events())[before:] == again, "the torn line took one along"
    assert states(run(tmp_path, step("one", makes=["o"])))[""] == "succeeded"
    assert directory.status().state == "succeeded"


def test_cancel_ends_what_a_killed_driver_left_running(
    tmp_path: Path, drive: Callable[[list[dict[str, Any]]], Driven]
) -> None:
    """Else a training without a driver would hold the machine, and nothing could end it."""
    driven = drive(plan(tmp_path))
    driven.wait_for((tmp_path / "second.half").exists)
    orphan = int(RunDirectory(tmp_path / "w", "test-1").step("second").alive.read_text())
    driven.end(signal.SIGKILL)
    driven.process.wait()
    place, own = providers.get("local"), LocalSettings(workspace=str(tmp_path / "w"), grace=5.0)
    assert place.cancel(RunRef("local", "test-1"), own)
    assert ended(orphan)
    assert not place.cancel(RunRef("local", "test-1"), own)
