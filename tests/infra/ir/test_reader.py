"""What kfp really writes is read into the right plan; what is not read is refused by name."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra import ir
from infra.errors import InputError
from infra.plan import (
    All,
    Compare,
    Constant,
    FinalStatus,
    FirstOf,
    Not,
    Output,
    Parameter,
    Plan,
    Resources,
    Retry,
    Step,
    Template,
    Token,
)
from pipelines import compile

FEATURES = Path(__file__).parents[2] / "plans" / "features.py"
Document = dict[str, Any]
SCORE = Compare(">", Output("make", "score"), Constant(0.5))


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Document:
    return compile.load(str(FEATURES), tmp_path_factory.mktemp("ir"))


@pytest.fixture(scope="module")
def plan(document: Document) -> Plan:
    return ir.read(document)


def by_words(plan: Plan, word: str) -> Step:
    """The ``say`` step that says ``word``."""
    return next(s for s in plan.steps if s.inputs.get("what") == Constant(word))


def test_every_container_becomes_one_step_with_a_name_of_its_own(plan: Plan) -> None:
    names = [step.name for step in plan.steps]
    assert len(set(names)) == len(names) == 15
    assert (plan.name, plan.description) == ("features", "Most of the DSL.")
    assert plan.parameters == {"n": 3, "name": "bob", "ratio": 0.5, "flag": False}


def test_a_pipeline_without_steps_is_refused(document: Document) -> None:
    """It would run, and say that it succeeded."""
    empty = copy.deepcopy(document)
    empty["pipeline"]["root"]["dag"] = {"tasks": {}}
    with pytest.raises(InputError, match="has no steps: nothing would run"):
        ir.read(empty)


def test_steps_stand_behind_those_they_need(plan: Plan) -> None:
    seen: set[str] = set()
    for step in plan.steps:
        assert seen.issuperset(step.needs()), step.name
        seen.add(step.name)


def test_arguments_and_values_inside_text(plan: Plan) -> None:
    step = plan.step("make")
    assert step.argv[2] == (Token("text", "--x="), Token("parameter", "x"))
    assert [token.kind for argument in step.argv[3:] for token in argument] == [
        "parameter", "output_file", "output_path", "parameter",
    ]  # fmt: skip
    assert step.inputs["x"] == Parameter("n")
    assert step.inputs["tail"] == Constant("end")
    text = step.inputs["text"]
    assert isinstance(text, Template)
    inner = text.argument[0].text
    assert text.argument[1] == Token("text", "-gen")
    assert step.inputs[inner] == Parameter("name")


def test_resources_environment_retries_and_outputs(plan: Plan) -> None:
    step = plan.step("make")
    assert step.resources == Resources(
        cpu=1.5, memory_gb=2.147483648, accelerator="nvidia.com/gpu", accelerators=2
    )
    assert step.env == {"A": "b"}
    assert step.retry == Retry(3, 5.0, 1.5, 60.0)
    assert (step.parameters, step.artifacts) == (
        {"score": "NUMBER_DOUBLE"}, {"model": "system.Model"},
    )  # fmt: skip


def test_whole_numbers_stay_whole_inside_lists_and_objects(plan: Plan) -> None:
    """Protobuf has one number type: hparams {"d_model": 32} must not reach a step as 32.0."""
    inputs = plan.step("count").inputs
    assert json.dumps([inputs["numbers"].value, inputs["table"].value]) == (  # type: ignore[union-attr]
        '[[1, 2], {"k": 3, "n": {"q": 1.5}}]'
    )


def test_conditions_nest_and_else_is_the_opposite(plan: Plan) -> None:
    over = Compare(">", Parameter("n"), Constant(2))
    assert by_words(plan, "elif").when == All((Not(SCORE), over))
    bob = by_words(plan, "bob").when
    assert bob == All((SCORE, Compare("==", Parameter("name"), Constant("bob"))))
    named = next(s for s in plan.steps if isinstance(s.inputs.get("what"), Template))
    assert named.when == All((Not(SCORE), Not(over)))


def test_an_input_is_followed_through_every_scope_to_its_producer(plan: Plan) -> None:
    said = next(
        s for s in plan.steps if s.name.startswith("say") and "inner" in str(s.inputs["what"])
    )
    source = said.inputs["what"]
    assert isinstance(source, Output)
    assert source.name == "word"
    producer = plan.step(source.step).inputs["model"]
    assert isinstance(producer, Output)
    assert plan.step(producer.step).inputs["text"] == Constant("inner")
    assert plan.step(producer.step).inputs["x"] == Parameter("n")


def test_one_of_names_both_branches(plan: Plan) -> None:
    joined = next(s for s in plan.steps if isinstance(s.inputs.get("what"), FirstOf))
    source = joined.inputs["what"]
    assert isinstance(source, FirstOf)
    texts = [
        plan.step(plan.step(output.step).inputs["model"].step).inputs["text"]  # type: ignore[union-attr]
        for output in source.outputs
    ]
    assert texts == [Constant("left"), Constant("right")]
    assert not joined.cache


def test_the_exit_handler_waits_for_all_of_its_body_and_nothing_else(plan: Plan) -> None:
    ending = plan.step("last")
    status = ending.inputs["status"]
    assert isinstance(status, FinalStatus)
    assert ending.always
    assert {"make", "count", by_words(plan, "elif").name} <= set(status.steps)
    assert "left" not in str([plan.step(name).inputs.get("text") for name in status.steps])


def test_a_step_that_ignores_failures_before_it_still_has_its_condition(plan: Plan) -> None:
    step = by_words(plan, "flag")
    assert step.always
    assert step.when == Compare("==", Parameter("flag"), Constant(True))


def test_the_digest_is_of_what_is_said_not_of_how(document: Document, plan: Plan) -> None:
    """The same pipeline in another order attaches to its run; another parameter makes a new one."""

    def turned(value: Any) -> Any:
        """Every object the other way round; lists have an order that counts."""
        if isinstance(value, dict):
            return {key: turned(value[key]) for key in reversed(value)}
        return value

    again = turned(document)
    assert ir.read(again).digest() == plan.digest()
    assert ir.read(document, {"n": "4"}).digest() != plan.digest()


@pytest.mark.parametrize(
    ("given", "value"),
    [({"n": "5"}, 5), ({"n": 5.0}, 5), ({"ratio": "2"}, 2), ({"flag": "True"}, True),
     ({"name": "7"}, "7")],
)  # fmt: skip
def test_a_value_is_read_by_its_parameters_type(
    document: Document, given: dict[str, Any], value: object
) -> None:
    name = next(iter(given))
    found = ir.read(document, given).parameters[name]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"nme": "x"}, "no parameter nme; did you mean name"),
        ({"n": "2.5"}, "n must be a whole number, and '2.5' is not"),
        ({"n": "many"}, "n must be a whole number"),
        ({"n": True}, "n must be a whole number"),
        ({"flag": "maybe"}, "flag must be true or false"),
        ({"ratio": "[]"}, "ratio must be a number"),
    ],
)
def test_a_wrong_value_is_one_sentence(
    document: Document, given: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        ir.read(document, given)


def leaf(document: Document) -> Any:
    return document["pipeline"]["deploymentSpec"]["executors"]["exec-make"]["container"]


def component(document: Document) -> Any:
    return document["pipeline"]["components"]["comp-make"]


def task(document: Document) -> Any:
    return document["pipeline"]["components"]["comp-exit-handler-1"]["dag"]["tasks"]["make"]


def _set(place: Callable[[Document], Any], **fields: Any) -> Callable[[Document], None]:
    return lambda document: place(document).update(fields)


REFUSED: list[tuple[Callable[[Document], Any], str]] = [
    (lambda d: d.pop("pipeline"), "this is not KFP IR"),
    (lambda d: d["pipeline"].pop("pipelineInfo"), "this is not KFP IR"),
    (_set(lambda d: d["pipeline"], schemaVersion="3.0.0"), "schema version 3.0.0; Trefoil reads"),
    (_set(lambda d: d["pipeline"], surprise=1), "the pipeline has the unknown field surprise"),
    (_set(task, cachingOption={}), "unknown field cachingOption; did you mean cachingOptions"),
    (_set(leaf, args=['{"IfPresent": {}}']), "step make has a placeholder .* cannot read"),
    (_set(leaf, args=["{{$.inputs.parameters['gone']}}"]),
     "step make puts the input gone on its command line, and nothing gives it a value"),
    (_set(leaf, args=[{"a": "b" * 500}]), r"args\[0\] of step make is an object, not text"),
    (_set(leaf, args=["{{$.inputs.surprise}}"]), "step make has a placeholder .* does not know"),
    (_set(leaf, lifecycle={"preStart": {}}), "step make uses a container lifecycle hook"),
    (_set(leaf, resources={"resourceMemoryLimit": "much"}), "make asks for the quantity 'much'"),
    (_set(lambda d: d["pipeline"]["deploymentSpec"]["executors"],
          **{"exec-make": {"resolver": {}}}), "step make uses a resolver, which"),
    (lambda d: d["pipeline"]["components"]["comp-make"]["outputDefinitions"]["artifacts"]["model"]
     .update(isArtifactList=True), "step make makes a list of artefacts as model"),
    (_set(lambda d: d["pipeline"]["deploymentSpec"]["executors"], **{"exec-make": {"wasm": {}}}),
     "step make has an executor of the unknown kind wasm"),
    (_set(task, triggerPolicy={"strategy": "ANY_UPSTREAM_TASK"}),
     "triggerPolicy.strategy of step make is ANY_UPSTREAM_TASK, which Trefoil does not know"),
    (_set(lambda d: component(d)["inputDefinitions"]["parameters"]["x"], parameterType="QUANTUM"),
     "inputDefinitions.parameters.x.parameterType of step make is QUANTUM, which Trefoil does not"),
    (_set(task, triggerPolicy={"condition": "inputs.parameter_values['x'] > 1 || true"}),
     "step make has a condition that Trefoil cannot read"),
    (_set(task, triggerPolicy={"condition": "size(inputs.parameter_values['x']) > 1"}),
     "step make has a condition that Trefoil cannot read"),
    (_set(task, inputs={"parameters": {"x": {"componentInputParameter": "gone"}}}),
     "step make needs the input gone"),
    (_set(lambda d: d["pipeline"]["root"],
          inputDefinitions={"artifacts": {"a": {"artifactType": {}}}}),
     "the pipeline takes the artefact a as input"),
]  # fmt: skip


@pytest.mark.parametrize(("harm", "words"), REFUSED, ids=[words[:40] for _, words in REFUSED])
def test_what_is_not_read_is_refused_by_one_sentence(
    document: Document, harm: Callable[[Document], Any], words: str
) -> None:
    """A construct passed over in silence would run another pipeline than the one written."""
    hurt = copy.deepcopy(document)
    harm(hurt)
    with pytest.raises(InputError, match=words) as refusal:
        ir.read(hurt)
    assert "\n" not in str(refusal.value)


def test_names_are_bound_not_taken_apart() -> None:
    """Task a with output b-c and task a-b with output c spell alike: kfp.local mixes them up."""
    document = {"pipeline": _ambiguous()}
    plan = ir.read(document)
    assert plan.step("first").when == Compare("==", Output("a", "b-c"), Constant("x"))
    assert plan.step("second").when == Compare("==", Output("a-b", "c"), Constant("x"))


def _ambiguous() -> Document:
    def producer(output: str) -> Document:
        types = {output: {"parameterType": "STRING"}}
        return {"executorLabel": "run", "outputDefinitions": {"parameters": types}}

    def guarded(producer: str, output: str, leaf: str) -> tuple[Document, Document]:
        name = f"pipelinechannel--{producer}-{output}"
        source = {"taskOutputParameter": {"producerTask": producer, "outputParameterKey": output}}
        group = {
            "componentRef": {"name": f"group-{leaf}"},
            "inputs": {"parameters": {name: source}},
            "triggerPolicy": {"condition": f"inputs.parameter_values['{name}'] == 'x'"},
        }
        inside = {"dag": {"tasks": {leaf: {"componentRef": {"name": "leaf"}}}}}
        return group, inside

    one, inside_one = guarded("a", "b-c", "first")
    two, inside_two = guarded("a-b", "c", "second")
    return {
        "pipelineInfo": {"name": "ambiguous"},
        "schemaVersion": "2.1.0",
        "root": {"dag": {"tasks": {
            "a": {"componentRef": {"name": "makes-bc"}},
            "a-b": {"componentRef": {"name": "makes-c"}},
            "condition-1": one, "condition-2": two,
        }}},
        "components": {
            "makes-bc": producer("b-c"), "makes-c": producer("c"),
            "group-first": inside_one, "group-second": inside_two,
            "leaf": {"executorLabel": "run"},
        },
        "deploymentSpec": {"executors": {"run": {"container": {"image": "i", "command": ["c"]}}}},
    }  # fmt: skip
