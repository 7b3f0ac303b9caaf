"""A loop is read as the steps that its iterations are, each with the inputs of its own."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from infra import ir
from infra.errors import InputError
from infra.plan import Collected, Compare, Constant, Output, Parameter, Plan
from pipelines import compile

LOOPS = Path(__file__).parents[2] / "plans" / "loops.py"
Document = dict[str, Any]


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Document:
    return compile.load(str(LOOPS), tmp_path_factory.mktemp("ir"))


@pytest.fixture(scope="module")
def plan(document: Document) -> Plan:
    return ir.read(document)


def tasks(document: Document) -> Any:
    return document["pipeline"]["root"]["dag"]["tasks"]


def test_each_iteration_is_a_step_named_by_its_number(plan: Plan) -> None:
    """Names are what logs, status and why are asked by: they must be the same in every run."""
    names = [step.name for step in plan.steps]
    assert len(set(names)) == len(names)
    assert [name for name in names if name.startswith("train")] == [
        "train-1", "train-2", "train-3",
        "train-2-1-1", "train-2-1-2", "train-2-2-1", "train-2-2-2",
    ]  # fmt: skip
    assert {plan.step(f"train-{n}").task for n in (1, 2, 3)} == {("for-loop-2", "train")}
    assert [plan.step(f"train-{n}").inputs["rate"] for n in (1, 2, 3)] == [
        Constant(0.5), Constant(0.25), Constant(1.5),
    ]  # fmt: skip


def test_what_stands_in_a_loop_sees_its_own_iteration(plan: Plan) -> None:
    second = plan.step("use-2")
    assert second.inputs["model"] == Output("train-2", "model")
    assert second.when == Compare("<", Output("train-2", "score"), Constant(0.4))
    assert plan.step("say-3").when == Compare(">", Constant(1.5), Constant(0.4))
    assert plan.step("say-3").inputs["pipelinechannel--word"] == Parameter("word")


def test_only_as_many_iterations_as_may_run_at_once(plan: Plan) -> None:
    """parallelism=2: the third waits for all of the first, and the first two for nothing."""
    assert plan.step("train-1").needs() == plan.step("train-2").needs() == ()
    assert plan.step("train-3").after == ("say-1", "train-1", "use-1")


def test_collected_is_every_iteration_in_order_and_flat(plan: Plan) -> None:
    """Loops in loops give one list, as KFP's backend does."""
    inputs = plan.step("again.pick").inputs
    assert inputs["scores"] == Collected(
        tuple(Output(f"again.train-{n}", "score") for n in (1, 2, 3))
    )
    nested = [Output(f"train-2-{a}-{b}", "model") for a in (1, 2) for b in (1, 2)]
    assert plan.step("pick").inputs["models"] == Collected(tuple(nested))


def test_a_loop_over_a_loops_outputs_is_known_before_the_run_too(plan: Plan) -> None:
    """Their number is known, though they themselves are not."""
    assert plan.step("again.use-2").inputs["model"] == Output("train-2", "model")
    assert plan.step("again.train-3").inputs["rate"] == Output("train-3", "score")


def test_a_field_of_a_struct_and_a_list_within(plan: Plan) -> None:
    assert plan.step("say-2-2").inputs["what"] == Constant("b")
    inner = plan.step("say-3-1-2").inputs
    assert Constant("2.5") in inner.values()
    assert Constant("c") in inner.values()  # used in the inner loop alone, which kfp writes wrongly


def test_the_persons_own_list_is_looped_over(document: Document) -> None:
    plan = ir.read(document, {"rates": "[1, 2, 3]", "tables": '[{"title": "z"}]'})
    names = [step.name for step in plan.steps if step.task[-1] == "train-2"]
    assert names == ["train-2-1-1", "train-2-1-2", "train-2-1-3"]
    assert plan.step("say-2-1").inputs["what"] == Constant("z")
    assert plan.step("train-2-1-2").inputs["rate"] == Constant(2)


def test_a_loop_over_nothing_is_no_step_and_collects_an_empty_list(document: Document) -> None:
    plan = ir.read(document, {"rates": "[]"})
    assert not [step for step in plan.steps if step.task[-1] == "train-2"]
    assert plan.step("pick").inputs["scores"] == Collected(())


def test_names_that_would_be_alike_are_told_apart(document: Document) -> None:
    """The second use of a component and the second iteration of the first: both train-2."""
    both = copy.deepcopy(document)
    tasks(both)["train-2"] = {
        "componentRef": {"name": "comp-train"},
        "inputs": {"parameters": {"rate": {"runtimeValue": {"constant": 7.0}}}},
    }
    plan = ir.read(both)
    assert plan.step("train-2").inputs["rate"] == Constant(7.0)
    assert plan.step("for-loop-2.train-2").inputs["rate"] == Constant(0.25)
    assert plan.step("use-2").inputs["model"] == Output("for-loop-2.train-2", "model")


def _looped(items: dict[str, Any]) -> Any:
    def harm(document: Document) -> None:
        tasks(document)["for-loop-2"]["parameterIterator"]["items"] = items

    return harm


def _from_the_run(document: Document) -> None:
    output = {"taskOutputParameter": {"producerTask": "list", "outputParameterKey": "found"}}
    _looped({"inputParameter": "over"})(document)
    tasks(document)["for-loop-2"]["inputs"]["parameters"]["over"] = output
    tasks(document)["list"] = {"componentRef": {"name": "comp-list"}}
    document["pipeline"]["components"]["comp-list"] = {
        "executorLabel": document["pipeline"]["components"]["comp-say"]["executorLabel"],
        "outputDefinitions": {"parameters": {"found": {"parameterType": "LIST"}}},
    }


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (_from_the_run,
         r"step for-loop-2 is a loop \(dsl.ParallelFor\) over a value that is known only during"),
        (_looped({"raw": "7"}), r"step for-loop-2 is a loop .* over what is no list"),
        (_looped({"raw": "[1"}), r"step for-loop-2 is a loop .* over what is no list"),
        (_looped({"raw": str(list(range(334)))}), "more than 1000 steps, counting every iteration"),
    ],
)  # fmt: skip
def test_what_cannot_be_looped_over_is_refused(document: Document, harm: Any, words: str) -> None:
    hurt = copy.deepcopy(document)
    harm(hurt)
    with pytest.raises(InputError, match=words) as refusal:
        ir.read(hurt)
    assert "\n" not in str(refusal.value)


def test_a_field_that_is_not_there_is_named(document: Document) -> None:
    with pytest.raises(InputError, match="say-2, input what takes the field title of a value"):
        ir.read(document, {"tables": '[{"name": "z"}]'})
