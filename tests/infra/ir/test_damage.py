"""Whatever is wrong with an IR file, a person gets one sentence: never a traceback."""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra import ir
from infra import provider as providers
from infra.errors import InputError, TrefoilError
from pipelines import compile

PLANS = Path(__file__).parents[2] / "plans"
JUNK: list[Any] = [
    None, 7, -1.5, "", "x", [], {}, ["x"], {"x": 1}, True, "{{$", "{{$.a}}", "{{$}}", "9" * 20,
]  # fmt: skip
LOCAL = providers.get("local")


PLANS_HURT = ["features.py", "scopes.py", "loops.py", "optional.py", "lightweight.py"]


@pytest.fixture(scope="module", params=PLANS_HURT)
def document(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return compile.load(str(PLANS / request.param), tmp_path_factory.mktemp("ir"))


def places(node: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of a document."""
    items = node.items() if isinstance(node, dict) else enumerate(node)
    found = []
    for key, value in items:
        found.append((node, key))
        if isinstance(value, dict | list):
            found += places(value)
    return found


def harm(document: Any, chance: random.Random) -> None:
    """Remove, replace or swap something in ``document``."""
    everywhere = places(document)
    (node, key), (other, name) = chance.choice(everywhere), chance.choice(everywhere)
    way = chance.random()
    if way < 0.3:
        del node[key]
    else:
        node[key] = copy.deepcopy(chance.choice(JUNK) if way < 0.8 else other[name])


@pytest.mark.parametrize("seed", range(8))
def test_damage_is_read_or_refused(document: Any, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    for _ in range(60):
        hurt = copy.deepcopy(document)
        harm(hurt, chance)
        try:
            ir.declared(hurt)
            body = LOCAL.lower(ir.read(hurt), LOCAL.settings(), "r").body
            json.dumps(dict(body))
        except TrefoilError as error:
            assert "\n" not in str(error)  # noqa: PT017  it need not be raised
            assert len(str(error)) < 400  # noqa: PT017
            assert "Error" not in str(error)  # noqa: PT017  a word of Python's, not of a person's


def executors(document: Any) -> Any:
    return document["pipeline"]["deploymentSpec"]["executors"]


def tasks(document: Any) -> Any:
    return document["pipeline"]["root"]["dag"]["tasks"]


def component(document: Any) -> Any:
    return document["pipeline"]["components"]["comp-a"]


def bind(document: Any, binding: Any) -> None:
    tasks(document)["b"]["inputs"] = {"parameters": {"x": binding}}


HARMS: list[tuple[Callable[[Any], Any], str]] = [
    (lambda d: d["pipeline"].pop("deploymentSpec"), "the pipeline has no deploymentSpec"),
    (lambda d: d["pipeline"].update(root=7), "root of the pipeline is a number, not an object"),
    (lambda d: d["pipeline"].update(components=[]), "components of the pipeline is a list, not an"),
    (lambda d: d["pipeline"]["root"].pop("dag"), "root of the pipeline has no dag"),
    (lambda d: d["pipeline"]["components"].pop("comp-a"), "step a runs the component comp-a, and"),
    (lambda d: component(d).pop("executorLabel"), "step a runs a component that has neither dag"),
    (lambda d: component(d).update(executorLabel="y"), "step a has the executor y, and there is"),
    (lambda d: executors(d)["exec-a"].pop("container"), "step a has an executor with neither"),
    (lambda d: executors(d)["exec-a"]["container"].pop("image"), "container of step a has no i"),
    (lambda d: executors(d)["exec-a"]["container"].update(args="x"), "args of step a is text, not"),
    (lambda d: tasks(d)["b"].update(componentRef=None), "componentRef of step b is null, not an"),
    (lambda d: tasks(d)["b"].update(dependentTasks=["c"]), "step b needs the step c, and there is"),
    (lambda d: tasks(d)["b"].update(retryPolicy={"maxRetryCount": "x"}),
     "retryPolicy.maxRetryCount of step b is text, not a number"),
    (lambda d: tasks(d)["b"].update(retryPolicy={"backoffDuration": "soon"}), "step b waits for"),
    (lambda d: bind(d, {}), "step b, input x, is bound to nothing"),
    (lambda d: bind(d, {"taskOutputParameter": {"producerTask": "a", "outputParameterKey": "q"}}),
     "step a makes no output q, which another one takes"),
    (lambda d: bind(d, {"taskOutputParameter": {"producerTask": "a"}}),
     "inputs.parameters.x.taskOutputParameter of step b has no outputParameterKey"),
    (lambda d: component(d).update(dag={"tasks": {"c": {"componentRef": {"name": "comp-a"}}}}),
     "step c runs the component comp-a, which it is part of"),
]  # fmt: skip


def two_steps() -> Any:
    """Two steps by hand, as small as IR can be."""
    outputs = {"parameters": {"o": {"parameterType": "STRING"}}}
    return {
        "pipeline": {
            "pipelineInfo": {"name": "two"},
            "schemaVersion": "2.1.0",
            "root": {"dag": {"tasks": {
                "a": {"componentRef": {"name": "comp-a"}},
                "b": {"componentRef": {"name": "comp-b"}},
            }}},
            "components": {
                "comp-a": {"executorLabel": "exec-a", "outputDefinitions": outputs},
                "comp-b": {"executorLabel": "exec-b"},
            },
            "deploymentSpec": {"executors": {
                "exec-a": {"container": {"image": "i", "command": ["c"]}},
                "exec-b": {"container": {"image": "i", "command": ["c"]}},
            }},
        }
    }  # fmt: skip


@pytest.mark.parametrize(("harm", "words"), HARMS, ids=[words[:40] for _, words in HARMS])
def test_the_sentence_says_where_the_damage_is(harm: Callable[[Any], Any], words: str) -> None:
    """A file of a thousand lines is not searched for "KeyError 'container'"."""
    document = two_steps()
    assert [step.name for step in ir.read(document).steps] == ["a", "b"]
    harm(document)
    with pytest.raises(InputError, match=re.escape(words)) as refusal:
        ir.read(document)
    assert str(refusal.value).startswith("this IR is damaged: ") or "waits" in words


def test_pipelines_in_pipelines_without_end_are_one_sentence() -> None:
    document = two_steps()
    components = document["pipeline"]["components"]
    for number in range(2000):
        inner = {"componentRef": {"name": f"comp-{number + 1}"}}
        components[f"comp-{number}"] = {"dag": {"tasks": {"x": inner}}}
    components["comp-2000"] = components["comp-b"]
    tasks(document)["deep"] = {"componentRef": {"name": "comp-0"}}
    with pytest.raises(InputError, match="nested too deep"):
        ir.read(document)


OUTSIDE = ["../../evil", "..", ".", "", "a/b", "/tmp/x", "a\0b", "a\n", "-", "x" * 129]


@pytest.mark.parametrize("name", OUTSIDE)
def test_no_name_is_a_way_out_of_the_workspace(name: str) -> None:
    """Names from a file that somebody sent become folders, files and labels."""

    a = {"componentRef": {"name": "comp-a"}}
    parameters = {"parameters": {name: {"parameterType": "STRING"}}}
    artifacts = {"artifacts": {name: {"artifactType": {"schemaTitle": "system.Model"}}}}
    changes: list[Callable[[Any], Any]] = [
        lambda d: d["pipeline"]["pipelineInfo"].update(name=name),
        lambda d: tasks(d).update({name: a}),
        lambda d: component(d).update(inputDefinitions=parameters),
        lambda d: component(d).update(inputDefinitions=artifacts),
        lambda d: component(d).update(outputDefinitions=parameters),
        lambda d: component(d).update(outputDefinitions=artifacts),
    ]
    for change in changes:
        document = two_steps()
        change(document)
        with pytest.raises(InputError, match="KFP allows up to 128"):
            ir.read(document)
