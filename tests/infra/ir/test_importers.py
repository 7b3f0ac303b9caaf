"""An importer is no step: its consumers take the artefact from where it lies."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from infra import ir
from infra.errors import InputError
from infra.plan import Collected, Constant, Imported, Output, Plan
from pipelines import compile

IMPORTERS = Path(__file__).parents[2] / "plans" / "importers.py"
Document = dict[str, Any]


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Document:
    return compile.load(str(IMPORTERS), tmp_path_factory.mktemp("ir"))


@pytest.fixture(scope="module")
def plan(document: Document) -> Plan:
    return ir.read(document, {"folder": "gs://bucket"})


def test_it_is_where_an_input_lies_with_its_type_and_metadata(plan: Plan) -> None:
    assert plan.step("use").inputs["data"] == Imported(
        Constant("gs://bucket/a.csv"), "system.Dataset", {"rows": 3, "from": "a.csv"}, reimport=True
    )
    assert {step.name for step in plan.steps} == {"use", "use-2", "find", "count"}


def test_its_uri_may_be_an_output_which_its_consumer_then_waits_for(plan: Plan) -> None:
    step = plan.step("use-2")
    assert step.inputs["data"] == Imported(Output("find", "uri"), "system.Dataset")
    assert step.needs() == ("find",)


def test_in_a_loop_each_iteration_imports_its_own(plan: Plan) -> None:
    assert plan.step("count").inputs["data"] == Collected(
        tuple(Imported(Constant(f"gs://bucket/{n}.csv"), "system.Dataset") for n in "ab")
    )


def test_what_comes_after_an_importer_comes_after_what_is_before_it(document: Document) -> None:
    """It is no step to wait for, and the order that it stands for must not be lost."""
    ordered = copy.deepcopy(document)
    ordered["pipeline"]["root"]["dag"]["tasks"]["importer"]["dependentTasks"] = ["find"]
    assert ir.read(ordered, {"folder": "x"}).step("use").after == ("find",)


def _importer(document: Document) -> Any:
    return document["pipeline"]["deploymentSpec"]["executors"]["exec-importer"]["importer"]


def _workspace(document: Document) -> None:
    _importer(document)["downloadToWorkspace"] = True


def _in_the_run(document: Document) -> None:
    tasks = document["pipeline"]["root"]["dag"]["tasks"]
    tasks["importer"]["inputs"]["parameters"]["pipelinechannel--name"] = {
        "taskOutputParameter": {"producerTask": "find", "outputParameterKey": "uri"}
    }


def _metadata_of_the_run(document: Document) -> None:
    _importer(document)["metadata"]["run"] = "{{$.pipeline_job_name}}"


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (_workspace, "step importer uses a workspace of the pipeline, which"),
        (_in_the_run, "step importer imports from a URI that is put together in the run"),
        (_metadata_of_the_run, "step importer: .*pipeline_job_name.* known only during the run"),
    ],
)
def test_what_is_not_read_is_refused(document: Document, harm: Any, words: str) -> None:
    hurt = copy.deepcopy(document)
    harm(hurt)
    with pytest.raises(InputError, match=words):
        ir.read(hurt, {"folder": "x"})
