"""``plan`` says what a run would do: who waits for whom, on what, and what it may cost."""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path

import pytest

from infra.plan import Collected, Constant, Imported, Output
from pipelines import plan
from pipelines.conditions import source

GOLDEN = Path(__file__).parent.parent / "golden" / "generative.json"


@pytest.fixture
def said(workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    file = tmp_path / "pipeline.json"
    file.write_text(json.dumps(json.loads(GOLDEN.read_text(encoding="utf-8"))["pipeline"]))
    parser = argparse.ArgumentParser()
    plan.configure(parser)
    assert plan.plan(parser.parse_args(["--pipeline", str(file), "--param", "seed=4"])) == 0
    assert not workspace.joinpath("ledger.jsonl").exists()
    return capsys.readouterr().out.splitlines()


def test_it_names_the_run_its_parameters_and_its_price(said: list[str]) -> None:
    assert said[0].startswith("generative-")
    assert " on local: " in said[0]
    assert "  seed = 4" in said
    assert "  costs at most $0.00" in said


def test_each_step_is_a_line_in_an_order_it_could_run_in(said: list[str]) -> None:
    steps = {line.split()[0]: line for line in said if line.startswith("  ") and " = " not in line}
    order = list(steps)
    for before, after in itertools.pairwise(["prepare", "train", "evaluate", "register", "deploy"]):
        assert order.index(before) < order.index(after)
    assert steps["train"] == "  train after prepare (2 retries)"
    assert "if evaluate.passed" in steps["register"]
    assert steps["register"].endswith("(not cached)")
    assert "always" in steps["report"]
    assert steps["prepare"] == "  prepare"


def test_loops_and_imports_are_lines_that_can_be_read(
    workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A step after a loop waits for all of its steps: named one by one, nobody could find one."""
    (tmp_path / "a.csv").write_text("a")
    data = Imported(Constant(str(tmp_path / "a.csv")))
    assert source(Collected((data, Output("find", "uri")))) == f"[{tmp_path / 'a.csv'}, find.uri]"
    plans = Path(__file__).parents[1] / "plans"
    parser = argparse.ArgumentParser()
    plan.configure(parser)
    shown = ["--pipeline", str(plans / "loops.py")]
    assert plan.plan(parser.parse_args(shown)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "  use-2 after train-2, if train-2.score < 0.4" in lines
    assert "  pick after say-1, say-2, say-2-1, say-2-2, say-3 and 10 more" in lines
    (tmp_path / "b.csv").write_text("b")
    shown = ["--pipeline", str(plans / "importers.py"), "--param", f"folder={tmp_path}"]
    assert plan.plan(parser.parse_args(shown)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "  use-2 after find, imports find.uri" in lines
    assert f"  count, imports {tmp_path}/a.csv, {tmp_path}/b.csv" in lines
