"""A process is found, signalled and waited for whatever happens around it."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from infra.local.process import Process, end_orphan
from infra.local.rundir import StepDirectory
from tests.infra.local.driven import ended
from tests.infra.local.driving import run, said, states, step


def started(place: StepDirectory, script: str) -> Process:
    place.root.mkdir(parents=True, exist_ok=True)
    return Process([sys.executable, "-c", script], {}, place, place.log(1))


def test_its_pid_is_noted_by_itself(tmp_path: Path) -> None:
    """Noted by the driver, it would be unknown where the driver is killed between the two."""
    place = StepDirectory(tmp_path)
    started(place, "import os; print(os.getpid())").wait()
    assert place.alive.read_text() == place.log(1).read_text()


def test_an_orphan_that_has_not_noted_its_pid_yet_is_waited_for(tmp_path: Path) -> None:
    """The lock is held from the start, the pid comes a moment later; both must be enough."""
    place = StepDirectory(tmp_path)
    process = started(place, "import time; time.sleep(60)")
    while not (noted := place.alive.read_text()):
        pass
    place.alive.write_text("")
    later = threading.Timer(0.2, place.alive.write_text, [noted])
    later.start()
    reaper = threading.Thread(target=process.wait)
    reaper.start()
    assert end_orphan(place, grace=5.0)
    reaper.join()
    later.join()


def test_waiting_without_waitid_holds_up_no_signal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """macOS has no os.waitid before Python 3.13: timeouts and Ctrl-C must work there too."""
    monkeypatch.delattr(os, "waitid")
    events = run(tmp_path / "w", step("slow", "time.sleep(60)", timeout=0.5))
    assert "timeout of 0.5 s" in said(events, "slow")
    assert states(run(tmp_path / "w", step("quick", makes=["o"]), run_id="test-2"))[""] == (
        "succeeded"
    )


def test_what_it_leaves_behind_ends_with_it(tmp_path: Path) -> None:
    """A data loader's worker that outlives its trainer would hold memory for ever."""
    child = "import subprocess, sys; p = subprocess.Popen(['sleep', '60']); print(p.pid)"
    place = StepDirectory(tmp_path)
    assert started(place, child).wait().code == 0
    pid = int(place.log(1).read_text())
    while not ended(pid):  # it was sent SIGKILL, which takes a moment
        time.sleep(0.01)


def test_a_killed_one_says_by_which_signal(tmp_path: Path) -> None:
    process = started(StepDirectory(tmp_path), "import time; time.sleep(60)")
    process.kill()
    assert process.wait().code == -signal.SIGKILL
