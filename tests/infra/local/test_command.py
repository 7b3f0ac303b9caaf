"""A command names files where its step sees them: in a container that is not where they lie."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infra.cache import Entry
from infra.local.command import Command
from infra.local.runner import View
from infra.local.values import Results
from infra.plan import Collected, Constant, FinalStatus, Imported, Json, Output, Source, Step, Token
from tests.infra.local.driving import step

VIEW = View("/trefoil/step", "/trefoil/inputs")


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """Two trainings have ended well; the second told metadata of its model."""
    steps = {name: step(name, makes=["model"]) for name in ("train-1", "train-2")}
    found = Results("run-1", steps)
    for name in steps:
        told: dict[str, Json] = {"model": {"rows": 3}} if name == "train-2" else {}
        found.states[name] = "succeeded"
        found.entries[name] = Entry(tmp_path / name, told, {"model": "0" * 64})
    return found


def taking(*words: Token, **inputs: Source) -> Step:
    made = step("pick", makes=["best"], values={"score": "NUMBER_DOUBLE"})
    return made._replace(argv=tuple((word,) for word in words), inputs=inputs)


def test_a_list_of_artefacts_is_json_and_each_is_mounted(results: Results, tmp_path: Path) -> None:
    models = Collected((Output("train-1", "model"), Output("train-2", "model")))
    command = Command(taking(Token("input_path", "models"), models=models), results, VIEW)
    (word,) = command.argv()
    assert json.loads(word) == ["/trefoil/inputs/models.1", "/trefoil/inputs/models.2"]
    assert command.reads == {
        "models.1": tmp_path / "train-1" / "outputs" / "model",
        "models.2": tmp_path / "train-2" / "outputs" / "model",
    }


def test_the_executor_input_names_what_the_step_sees(results: Results, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a")
    found = taking(
        Token("executor_input", ""),
        model=Output("train-2", "model"),
        data=Imported(Constant(str(tmp_path / "a.csv")), "system.Dataset", {"from": "there"}),
        rate=Constant(0.5),
        status=FinalStatus("body", ("train-1",)),
    )
    command = Command(found, results, VIEW)
    told = json.loads(command.argv()[0])
    values = told["inputs"]["parameterValues"]
    assert (values["rate"], values["status"]["state"]) == (0.5, "SUCCEEDED")
    (model,) = told["inputs"]["artifacts"]["model"]["artifacts"]
    assert (model["uri"], model["metadata"]) == ("/trefoil/inputs/model", {"rows": 3})
    (data,) = told["inputs"]["artifacts"]["data"]["artifacts"]
    assert data["type"]["schemaTitle"] == "system.Dataset"
    assert (data["uri"], data["metadata"]) == ("/trefoil/inputs/data", {"from": "there"})
    outputs = told["outputs"]
    assert outputs["parameters"] == {"score": {"outputFile": "/trefoil/step/work/score"}}
    assert outputs["outputFile"] == "/trefoil/step/work/executor_output.json"
    (best,) = outputs["artifacts"]["best"]["artifacts"]
    assert best["uri"] == "/trefoil/step/work/outputs/best"
    assert command.reads["data"] == tmp_path / "a.csv"
