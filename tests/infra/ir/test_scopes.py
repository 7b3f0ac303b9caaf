"""Values find their producers through pipelines in pipelines and groups in groups."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from infra import ir
from infra import provider as providers
from infra.errors import InputError
from infra.local.values import Results
from infra.plan import All, Compare, Constant, FinalStatus, Output, Parameter, Plan, Step
from pipelines import compile

SCOPES = Path(__file__).parents[2] / "plans" / "scopes.py"
Document = dict[str, Any]


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Document:
    return compile.load(str(SCOPES), tmp_path_factory.mktemp("ir"))


@pytest.fixture(scope="module")
def plan(document: Document) -> Plan:
    return ir.read(document)


def saying(plan: Plan, word: str) -> Step:
    return next(step for step in plan.steps if step.inputs.get("what") == Constant(word))


@pytest.mark.parametrize(
    ("step", "text"),
    [
        ("inner.say", "<bob-x>"),
        ("inner.innermost.say", "[bob-x!]"),
    ],
)
def test_text_means_what_it_meant_where_it_was_written(plan: Plan, step: str, text: str) -> None:
    """Every pipeline here calls its parameter ``name``: looked up where it is used, the text
    would hold itself for ever."""
    place = providers.get("local")
    found = place.lower(plan, place.settings(), "r").plan.step(step)
    assert Results("r").value(found.inputs["what"], found) == text


def test_a_steps_own_name_may_be_given_as_an_input(plan: Plan) -> None:
    """kfp writes it as an input's value too, beside its own command: it must not come out empty."""
    found = plan.step("inner.call-me")
    assert Results("r").value(found.inputs["what"], found) == "inner.call-me in r"


def test_a_step_inside_waits_for_what_its_text_is_made_of(plan: Plan) -> None:
    for name in ("inner-2.say", "inner-2.innermost.say"):
        assert plan.step(name).needs() == (saying(plan, "made").name,)


def test_a_condition_on_text_made_in_the_run_is_refused(document: Document) -> None:
    hurt = copy.deepcopy(document)
    task = hurt["pipeline"]["components"]["comp-inner"]["dag"]["tasks"]["say"]
    task["triggerPolicy"] = {"condition": "inputs.parameter_values['what'] == '<bob-x>'"}
    with pytest.raises(InputError, match="step say has a condition on text that is put together"):
        ir.read(hurt)


def test_a_whole_pipeline_that_ignores_failures_is_refused(document: Document) -> None:
    """Its first step would have to run always and its second only after the first."""
    hurt = copy.deepcopy(document)
    task = hurt["pipeline"]["root"]["dag"]["tasks"]["inner"]
    task["triggerPolicy"] = {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}
    with pytest.raises(InputError, match="step inner is a whole pipeline that runs even if"):
        ir.read(hurt)


@pytest.mark.parametrize(
    ("word", "cpu", "memory"),
    [("bytes", 2.0, 1.073741824), ("requests", 0.5, 1.073741824), ("own", None, 2.147483648)],
)
def test_a_bare_number_of_memory_is_bytes(
    plan: Plan, word: str, cpu: float | None, memory: float
) -> None:
    """As kfp and Kubernetes have it: read as gigabytes it would ask for an exabyte."""
    resources = saying(plan, word).resources
    assert (resources.cpu, resources.memory_gb) == (cpu, memory)


def test_an_image_may_be_a_parameter_and_not_an_output(document: Document) -> None:
    assert saying(ir.read(document, {"image": "other:2"}), "own").image == "other:2"
    hurt = copy.deepcopy(document)
    tasks = hurt["pipeline"]["root"]["dag"]["tasks"]
    (task,) = (t for t in tasks.values() if "pipelinechannel--image" in str(t.get("inputs")))
    output = {"producerTask": "say", "outputParameterKey": "said"}
    task["inputs"]["parameters"]["pipelinechannel--image"] = {"taskOutputParameter": output}
    with pytest.raises(InputError, match="is known only during the run"):
        ir.read(hurt)


def test_conditions_three_deep_with_negative_numbers_and_quotes(plan: Plan) -> None:
    assert saying(plan, "deep").when == All((
        Compare("==", Parameter("n"), Constant(-3)),
        Compare("<", Parameter("ratio"), Constant(-0.25)),
        Compare("!=", Parameter("name"), Constant('a "b" c')),
    ))  # fmt: skip
    score = Output("for-loop-2", "score")
    assert saying(plan, "tiny").when == Compare(">=", score, Constant(1e-05))


def test_a_step_called_like_a_group_of_kfp_keeps_its_name(plan: Plan) -> None:
    """kfp calls the second use of a component named for_loop "for-loop-2", as it does groups."""
    assert {"for-loop", "for-loop-2"} <= {step.name for step in plan.steps}


def test_each_exit_handler_ends_its_own_body(plan: Plan) -> None:
    status = plan.step("ending").inputs["status"]
    assert isinstance(status, FinalStatus)
    assert status.steps == (saying(plan, "first").name,)
    bye = saying(plan, "bye")
    assert bye.always
    assert bye.needs() == (saying(plan, "second").name,)


HARM: list[tuple[str, Any]] = [
    ("root", 7),
    ("root", {"inputDefinitions": {"parameters": ["n"]}}),
    ("root", {"inputDefinitions": {"parameters": {"n": 3}}}),
]


@pytest.mark.parametrize(("field", "value"), HARM)
def test_damaged_parameters_are_one_sentence(document: Document, field: str, value: Any) -> None:
    """They are looked at before the rest is read."""
    hurt = {"pipeline": {**document["pipeline"], field: value}}
    with pytest.raises(InputError, match="this IR is damaged: its parameters"):
        ir.declared(hurt)


def test_components_inside_themselves_are_one_sentence(document: Document) -> None:
    hurt = copy.deepcopy(document)
    tasks = hurt["pipeline"]["components"]["comp-inner"]["dag"]["tasks"]
    tasks["say"]["componentRef"]["name"] = "comp-inner"
    with pytest.raises(
        InputError,
        match="this IR is damaged: step say runs the component comp-inner, which it is part of",
    ):
        ir.read(hurt)
