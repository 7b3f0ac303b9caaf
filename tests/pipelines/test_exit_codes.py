"""What a script that starts a run can tell from its exit code alone: 0, 1, 2, 3, 130."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import pytest

from tests.pipelines.one_step import ROOT, one_step
from tests.pipelines.test_cli import RUN, VERB, cli

GATE = "import sys; open(sys.argv[1], 'w').close(); open(sys.argv[2], 'w').write({word!r})"


@pytest.mark.parametrize(
    ("word", "flags", "code"),
    [("false", ["--require-gate"], 3), ("false", [], 0), ("true", ["--require-gate"], 0)],
)
def test_a_gate_that_says_no_is_3_only_where_it_is_required(
    tmp_path: Path, word: str, flags: list[str], code: int
) -> None:
    """A nightly retraining that brings no better model is no failure, unless one says so."""
    pipeline = one_step(tmp_path / "p.yaml", GATE.format(word=word), values={"passed": "BOOLEAN"})
    done = cli(tmp_path / "w", RUN, "--pipeline", pipeline, "--json", *flags)
    assert done.returncode == code, done.stderr
    found = json.loads(done.stdout)
    assert (found["state"], found["gate"]["passed"]) == ("succeeded", word == "true")


def test_a_gate_that_is_not_there_cannot_be_required(tmp_path: Path) -> None:
    """CI would take a run that judged nothing for one that passed."""
    pipeline = one_step(tmp_path / "p.yaml", "import sys; open(sys.argv[1], 'w').close()")
    done = cli(tmp_path / "w", RUN, "--pipeline", pipeline, "--require-gate")
    assert done.returncode == 2
    assert "no step of this run has an output called passed" in done.stderr
    assert not (tmp_path / "w" / "runs").exists()


@pytest.mark.parametrize("provider", ["kind", "aws", "gcp", "azure"])
def test_a_workspace_that_is_a_file_is_wrong_input(tmp_path: Path, provider: str) -> None:
    """1 would tell a script that the run had failed, and may be tried again."""
    pipeline = one_step(tmp_path / "p.yaml", "import sys; open(sys.argv[1], 'w').close()")
    (tmp_path / "w").write_text("mine", encoding="utf-8")
    done = cli(tmp_path / "w", RUN, "--pipeline", pipeline, "--provider", provider, "--rehearse")
    assert done.returncode == 2
    assert f"Not a directory: {tmp_path}/w" in done.stderr
    assert (tmp_path / "w").read_text(encoding="utf-8") == "mine"


def test_ctrl_c_is_130_and_the_same_command_finishes_the_run(tmp_path: Path) -> None:
    """A shell's loop over runs must end with it, and no work be lost."""
    begun, go = tmp_path / "begun", tmp_path / "go"
    script = (
        f"import os, sys, time; open({str(begun)!r}, 'w').close()\n"
        f"while not os.path.exists({str(go)!r}): time.sleep(0.02)\n"
        "open(sys.argv[1], 'w').close()"
    )
    words = [RUN, "--pipeline", one_step(tmp_path / "p.yaml", script), "--json"]
    running = subprocess.Popen(
        [sys.executable, "-m", *words],
        cwd=ROOT,
        env={**os.environ, "TREFOIL_WORKSPACE": str(tmp_path / "w")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not begun.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    assert "Traceback" not in err
    ended = json.loads(out)
    assert (ended["state"], ended["steps"][0]["state"]) == ("cancelled", "cancelled")
    status = json.loads(cli(tmp_path / "w", VERB, "status", "--json").stdout)
    assert (status["run_id"], status["state"]) == (ended["run_id"], "cancelled")

    go.touch()
    done = cli(tmp_path / "w", *words)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["run_id"] == ended["run_id"]


COMPILES_FOR_EVER = """
import fcntl, pathlib, subprocess, time
from kfp import dsl
lock = open({lock!r}, "w")
fcntl.flock(lock, fcntl.LOCK_EX)
subprocess.Popen(["sleep", "600"], pass_fds=[lock.fileno()])
pathlib.Path({begun!r}).touch()
time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("words", [[VERB, "plan"], [RUN]], ids=" ".join)
def test_an_interrupt_while_the_pipeline_is_compiled_ends_that_too(
    tmp_path: Path, words: list[str], number: signal.Signals
) -> None:
    """A scheduler that ends a job by SIGTERM would else leave a process behind, and no answer."""
    begun, lock = tmp_path / "begun", tmp_path / "lock"
    pipeline = tmp_path / "p.py"
    pipeline.write_text(COMPILES_FOR_EVER.format(lock=str(lock), begun=str(begun)))
    running = subprocess.Popen(
        [sys.executable, "-m", *words, "--pipeline", str(pipeline), "--json"],
        cwd=ROOT, env={**os.environ, "TREFOIL_WORKSPACE": str(tmp_path / "w")},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not begun.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    running.send_signal(number)
    out, err = running.communicate(timeout=60)
    assert (running.returncode, err) == (130, "interrupted\n")
    assert json.loads(out) == {"error": "interrupted", "exit_code": 130}
    assert not (tmp_path / "w").exists()
    with lock.open() as held:  # free once nobody is left, neither kfp nor what the file started
        _taken_within(60, held)


def _taken_within(seconds: float, lock: IO[str]) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            time.sleep(0.02)
    pytest.fail("what was compiling is still there")
