"""Every step has a name of its own, the same each time, whatever kfp calls its groups."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra import ir
from infra.ir.names import step_name, task_names
from infra.plan import Constant, Output, Plan
from pipelines import compile

NAMES = Path(__file__).parents[2] / "plans" / "names.py"


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return ir.read(compile.load(str(NAMES), tmp_path_factory.mktemp("ir")))


def test_components_may_be_called_like_groups_of_kfp(plan: Plan) -> None:
    """Their second use is condition-2 and for-loop-2, as kfp calls an If and a ParallelFor."""
    said = {step.name: step.inputs["what"] for step in plan.steps}
    assert len(said) == len(plan.steps) == 9
    assert said["condition-2"] == Output("condition", "said")
    assert said["condition-3"] == Constant("in")
    assert said["for-loop-2.condition"] == Constant("q")
    assert said["condition-4-2"] == said["for-loop-3.for-loop-3.condition-2"] == Constant("b")


PART = st.sampled_from(["a", "a-1", "a-1-1", "b", "for-loop-2", "for-loop-3", "condition-1"])
TASKS = st.sets(st.lists(PART, min_size=1, max_size=4).map(tuple))


@given(TASKS)
def test_no_two_iterations_of_anything_are_called_alike(tasks: set[tuple[str, ...]]) -> None:
    """kfp keeps tasks apart within a DAG, and its loops are DAGs called for-loop-N."""
    leaves = {
        task: sum(part.startswith("for-loop") for part in task[:-1])
        for task in tasks
        if not any(other != task and other[: len(task)] == task for other in tasks)
    }
    names = task_names(leaves)
    called = [
        step_name((*task, *numbers), names)
        for task, loops in leaves.items()
        for numbers in itertools.product((1, 2), repeat=loops)
    ]
    assert len(set(called)) == len(called)
