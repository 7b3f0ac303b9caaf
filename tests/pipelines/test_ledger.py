"""The ledger names runs: again after a success is a new attempt, until then the same one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipelines.ledger import Ledger, Line, run_id


def line(step: Any = "intent", attempt: int = 1, state: Any = "", **options: str) -> Line:
    provider, plan = options.get("provider", "local"), options.get("plan", "d1")
    scenario = options.get("scenario", "")
    return Line(step, run_id("p", plan, attempt), provider, plan, attempt, state, scenario=scenario)


def test_a_plan_never_sent_is_the_first_attempt(tmp_path: Path) -> None:
    assert Ledger(tmp_path / "none").attempt("p", "d1", "local") == 1
    assert run_id("generative", "0123456789abcdef", 2) == "generative-01234567-2"


@pytest.mark.parametrize(
    ("lines", "attempt"),
    [
        ([line()], 1),  # killed between intent and submission
        ([line(), line("submitted")], 1),  # running, or its process was killed
        ([line(), line("finished", state="cancelled")], 1),
        ([line(), line("finished", state="failed")], 1),
        ([line(), line("finished", state="succeeded")], 2),
        ([line("finished", state="succeeded"), line(attempt=2)], 2),
        ([line("finished", state="succeeded", provider="aws")], 1),
        ([line("finished", state="succeeded", plan="d2")], 1),
    ],
)
def test_what_sending_the_plan_makes_or_joins(
    tmp_path: Path, lines: list[Line], attempt: int
) -> None:
    """A repeated submission resumes or joins; it never makes a second run of the same thing."""
    ledger = Ledger(tmp_path)
    for each in lines:
        ledger.append(each)
    assert ledger.attempt("p", "d1", "local") == attempt


@pytest.mark.parametrize(
    ("scenario", "attempt"),
    [("quota", 1), ("", 1), ("throttling", 2)],
)
def test_a_scenario_does_not_go_on_with_the_failure_of_another(
    tmp_path: Path, scenario: str, attempt: int
) -> None:
    """What failed for want of a quota would be told again as what throttling leads to."""
    ledger = Ledger(tmp_path)
    ledger.append(line("finished", state="failed", scenario="quota"))
    assert ledger.attempt("p", "d1", "local", scenario) == attempt


def test_a_damaged_line_is_named_and_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = Ledger(tmp_path)
    ledger.append(line("finished", state="succeeded"))
    with (tmp_path / "ledger.jsonl").open("a") as file:
        file.write('{"plan": "d1", "oops\n')
    ledger.append(line(attempt=2))
    assert ledger.attempt("p", "d1", "local") == 2
    assert "ledger.jsonl, line 2 damaged; left out" in capsys.readouterr().err


def test_a_line_cut_off_by_a_crash_does_not_swallow_the_next(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.append(line("finished", state="succeeded"))
    with (tmp_path / "ledger.jsonl").open("a") as file:
        file.write('{"step": "fin')
    ledger.append(line("submitted", attempt=2))
    assert [each.attempt for each in ledger.lines(containing="d1")] == [1, 2]


def test_many_processes_append_at_once_and_lose_nothing(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from pipelines.ledger import Ledger, Line; "
        "[Ledger(Path(sys.argv[1])).append(Line('intent', 'r', 'local', sys.argv[2], n)) "
        "for n in range(100)]"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", script, str(tmp_path), f"w{n}"]) for n in range(4)
    ]
    assert [writer.wait(60) for writer in writers] == [0] * 4
    found = [(each.plan, each.attempt) for each in Ledger(tmp_path).lines()]
    assert sorted(found) == [(f"w{w}", n) for w in range(4) for n in range(100)]


def test_runs_that_a_lost_ledger_told_of_are_not_written_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Their records are all that is left of them."""
    for attempt in (1, 2):
        (tmp_path / "runs" / run_id("p", "d1", attempt)).mkdir(parents=True)
    ledger = Ledger(tmp_path)
    assert ledger.attempt("p", "d1", "local") == 3
    (tmp_path / "ledger.jsonl").write_text("\0\0garbage\n{}\n" + "x\n" * 7)
    assert ledger.attempt("p", "d1", "local") == 3
    told = capsys.readouterr().err
    assert "ledger.jsonl, lines 1, 3, 4, 5, 6 and 3 more damaged; left out" in told
    ledger.append(line(provider="kind"))
    assert ledger.attempt("p", "d1", "local") == 1, "that run is another place's"
