"""A clock that jumps back and forth while a run goes: order, durations and ids stay right."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.ledger import Ledger
from tests.pipelines.test_cli import NOOP, RUN, VERB, cli

JUMPING = """
import itertools, time
real, calls = time.time, itertools.count()
time.time = lambda: real() + (-1) ** next(calls) * 86400
open(__file__ + ".used", "w").close()
"""
"""In every process: a day ahead, then a day behind, and so on."""


@pytest.fixture
def jumping(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An environment in which the time of day is not to be trusted."""
    place = tmp_path / "site"
    place.mkdir()
    (place / "sitecustomize.py").write_text(JUMPING)
    yield {"PYTHONPATH": str(place), "TREFOIL_TRACKING_URI": "none"}
    assert (place / "sitecustomize.py.used").exists(), "no clock jumped"


def test_a_run_is_told_in_its_order_and_with_what_it_took(
    tmp_path: Path, jumping: dict[str, str]
) -> None:
    """Laptops sleep, and time servers set clocks; nobody should see a step of minus a day."""
    workspace = tmp_path / "w"
    done = cli(workspace, RUN, "--pipeline", NOOP, "--json", **jumping)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["run_id"].endswith("-1")
    seconds = [found["seconds"], *(step["seconds"] for step in found["steps"])]
    assert all(0 < took < 60 for took in seconds)
    file = workspace / "runs" / found["run_id"] / "events.jsonl"
    events = [json.loads(line) for line in file.read_text().splitlines()]
    order = [(event["step"], event["state"]) for event in events if event["step"]]
    steps = ["first", "step", "step-2", "step-3", "step-4"]
    assert order == [(name, state) for name in steps for state in ("running", "succeeded")]
    stamps = [event["at"] for event in events]
    assert stamps == sorted(stamps)
    assert stamps[-1] - stamps[0] < 60


def test_the_next_run_is_the_next_attempt_and_takes_all_from_the_cache(
    tmp_path: Path, jumping: dict[str, str]
) -> None:
    """Ids come from the plan and from what the ledger says, never from the time of day."""
    workspace = tmp_path / "w"
    runs = [
        json.loads(cli(workspace, RUN, "--pipeline", NOOP, "--json", **jumping).stdout)
        for _ in range(2)
    ]
    assert [run["run_id"][-2:] for run in runs] == ["-1", "-2"]
    assert {step["state"] for step in runs[1]["steps"]} == {"cached"}
    lines = [(line.step, line.attempt) for line in Ledger(workspace).lines()]
    kinds = ("intent", "submitted", "finished")
    assert lines == [(kind, attempt) for attempt in (1, 2) for kind in kinds]


def test_its_report_draws_no_time_that_was_not(tmp_path: Path, jumping: dict[str, str]) -> None:
    """A bar of a day for a step of a second is worse than none."""
    workspace = tmp_path / "w"
    assert cli(workspace, RUN, "--pipeline", NOOP, **jumping).returncode == 0
    done = cli(workspace, VERB, "report", **jumping)
    assert done.returncode == 0, done.stderr
    text = Path(done.stdout.strip()).read_text(encoding="utf-8")
    bars = re.findall(r'title="([^"]+, from [^"]+)"', text)
    assert len(bars) == 5
    assert not [bar for bar in bars if re.search(r"\d ?(?:min|h|d)\b", bar)]
    assert not re.findall(r'style="[^"]*:-', text)
