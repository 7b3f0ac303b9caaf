"""A plan as documents of Azure ML: pure, the same every time, and nothing that it would refuse."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.azure.names import environment, named, node
from infra.errors import SettingsError, UnsupportedError
from infra.plan import Constant, FirstOf, Imported, Json, Output, Plan, Resources
from tests.conformance.cases import CASES
from tests.infra.azure.lowering import (
    GOLDEN,
    IDENTITY,
    SETTINGS,
    generative,
    lowered,
    nodes_of,
    plan_of,
    told,
    wrong,
)

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The IR of every conformance plan."""
    folder = tmp_path_factory.mktemp("plans")
    subprocess.run(
        [sys.executable, "-m", "tests.conformance.plans", folder], cwd=ROOT, check=True,
        capture_output=True,
    )  # fmt: skip
    return folder


def conformance(folder: Path, name: str, tmp_path: Path) -> Plan:
    from pipelines import compile

    case = next(case for case in CASES if case.name == name)
    given: dict[str, Json] = dict(case.given)
    if case.files:
        given["uri"] = "azureml://datastores/trefoil_data/paths/outside/c.txt"
    return case.change(
        plan_of(compile.load(str(folder / f"{case.pipeline}.yaml"), tmp_path), **given)
    )


def test_our_pipeline_becomes_the_golden_request() -> None:
    """What is sent to a cloud changes only when somebody means it to.

    After a change that is meant: python -m tests.infra.azure.test_lower
    """
    golden = json.loads((GOLDEN / "generative.azure.json").read_text(encoding="utf-8"))
    assert shown() == golden


def shown() -> Any:
    """The request without the launcher's text, which has tests of its own, nor digests of it."""
    body: Any = lowered(generative()).body
    text = json.dumps(body | {"files": {}})
    told = {key: json.loads(each) for key, each in body["files"].items() if key.endswith(".json")}
    files = {}
    for key, step in told.items():
        folder, name = key.removesuffix("/step.json"), f"trefoil/launch/{step['step']}"
        text = text.replace(folder, name)
        files[f"{name}/step.json"] = step
    return json.loads(text) | {"files": files}


def test_nothing_of_it_would_be_refused() -> None:
    assert wrong(lowered(generative())) == []


@pytest.mark.parametrize("name", [case.name for case in CASES])
def test_no_plan_becomes_a_request_that_would_be_refused(
    compiled: Path, name: str, tmp_path: Path
) -> None:
    assert wrong(lowered(conformance(compiled, name, tmp_path))) == []


def test_the_same_plan_is_the_same_bytes_in_another_process() -> None:
    """Names and keys are made of it: a repeated submit must find the first."""
    script = (
        "import json; from tests.infra.azure.lowering import *; "
        "print(json.dumps(lowered(generative()).body))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(found) == 1


def test_lowering_loads_no_sdk() -> None:
    script = (
        "import sys; from tests.infra.azure.lowering import lowered, generative; "
        "before = set(sys.modules); import infra.azure.lower; lowered(generative()); "
        "ours = ('azure', 'msal', 'requests', 'marshmallow'); "
        "print([m for m in sys.modules if m.split('.')[0] in ours])"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert run.stdout.strip() == "[]"


def test_each_step_is_a_node_that_starts_the_launcher() -> None:
    found = nodes_of(lowered(generative()))
    assert set(found) == {"champion", "prepare", "train", "evaluate", "register", "deploy"}
    train = found["train"]
    assert train["component"]["command"] == (
        "python3 ${{inputs.trefoil}}/launcher.py azureml "
        "--input=from-prepare=${{inputs.from_prepare}} "
        "--outputs=${{outputs.left}} --checkpoints=${{outputs.checkpoints}}"
    )
    assert train["inputs"]["from_prepare"]["path"] == "${{parent.jobs.prepare.outputs.left}}"
    assert train["component"]["is_deterministic"] is False
    assert train["identity"] == {"type": "managed", "client_id": IDENTITY}
    assert train["tags"]["trefoil.step"] == "train"


def test_a_gate_is_asked_by_each_step_behind_it() -> None:
    """Azure has no public conditions: what a skipped step would leave must skip what takes it."""
    request = lowered(generative())
    register = told(request, "register")
    assert register["guard"]["compare"] == "=="
    assert register["guard"]["left"]["parameter"] == ["from-evaluate/trefoil", "passed"]
    assert "from_evaluate" in nodes_of(request)["register"]["inputs"]
    assert told(request, "deploy")["inputs"]["version"]["of"] == "register"
    assert told(request, "train")["guard"] is None


def test_a_training_on_spot_machines_saves_itself_where_it_outlives_them() -> None:
    """An upload comes at the end, which a machine that is taken away never sees."""
    plan = generative()
    train = plan.step("train")
    asked = train.resources._replace(spot=True, accelerators=1, accelerator="T4")
    spot = _with(plan, "train", resources=asked, timeout=600.0)
    request = lowered(spot)
    assert wrong(request) == []
    node = nodes_of(request)["train"]
    assert node["queue_settings"] == {"job_tier": "spot"}
    assert node["compute"] == "azureml:serverless"
    assert node["component"]["resources"]["instance_type"] == "Standard_NC4as_T4_v3"
    assert node["limits"] == {"timeout": 600}
    kept = node["outputs"]["checkpoints"]
    assert kept["mode"] == "rw_mount"
    assert kept["path"].endswith("/trefoil/checkpoints/generative-1/train/")


def test_several_nodes_are_one_launcher_each() -> None:
    """Azure tells each its rank; the launcher starts the processes that the step asks for."""
    plan = _with(generative(), "train", resources=Resources(nodes=2))
    request = lowered(plan)
    assert wrong(request) == []
    component = nodes_of(request)["train"]["component"]
    assert component["distribution"] == {"type": "pytorch", "process_count_per_instance": 1}
    assert component["resources"]["instance_count"] == 2


def test_clusters_run_what_asks_for_nothing() -> None:
    """A step that asks for a GPU must not end up on the cluster's machines without one."""
    settings = SETTINGS._replace(compute="cpu", spot_compute="spot")
    plan = _with(generative(), "prepare", resources=Resources(spot=True))
    plan = _with(plan, "train", resources=Resources(accelerator="T4", accelerators=1))
    request = lowered(plan, settings)
    assert wrong(request) == []
    found = {step: each["compute"] for step, each in nodes_of(request).items()}
    assert found["champion"] == "azureml:cpu"
    assert found["prepare"] == "azureml:spot"
    assert found["train"] == "azureml:serverless"
    assert "instance_type" not in nodes_of(request)["champion"]["component"]["resources"]
    assert "queue_settings" not in nodes_of(request)["prepare"]
    assert "step train asks for other machines than cpu has: it runs on serverless" in (
        request.notes
    )


def test_a_plan_of_one_step_is_one_job() -> None:
    plan = generative()
    alone = plan._replace(steps=(plan.step("prepare"),))
    body: Any = lowered(alone).body
    assert body["job"]["type"] == "command"
    assert body["job"]["name"] == "generative-1-prepare"
    assert "compute" not in body["job"]  # that is what serverless is
    assert "pipeline" not in body


def test_the_exit_handler_is_a_job_that_is_told_how_it_ended() -> None:
    body: Any = lowered(generative()).body
    (after,) = body["after"]
    assert after["inputs"]["trefoil_status"]["path"].endswith(
        "/generative-1/report/trefoil-status/"
    )
    assert after["name"] == "generative-1-report"


def test_settings_of_the_account_reach_every_job() -> None:
    deployer = "33333333-3333-4333-8333-333333333333"
    settings = SETTINGS._replace(
        tags={"team": "models"},
        step_identities={"deploy": deployer},
        overrides={
            "*": {"services": {"ssh": {"type": "ssh"}}},
            "train": {"component": {"resources": {"shm_size": "16g"}}},
            "deploy": {"compute": "azureml:deploy"},
        },
    )
    request = lowered(generative(), settings)
    assert wrong(request) == []
    found = nodes_of(request)
    assert found["train"]["component"]["resources"]["shm_size"] == "16g"
    assert found["train"]["component"]["resources"]["instance_count"] == 1
    assert all(each["services"] for each in found.values())
    assert found["prepare"]["tags"]["team"] == "models"
    assert found["deploy"]["identity"]["client_id"] == deployer
    assert told(request, "deploy")["env"]["AZURE_CLIENT_ID"] == deployer
    assert "instance_type" not in found["deploy"]["component"]["resources"]


def test_no_step_speaks_to_the_mlflow_that_a_container_has_of_azure() -> None:
    """Plain MLflow cannot, and would fail; or it would log into a run that is not ours."""
    env = told(lowered(generative()), "train")["env"]
    assert {env[name] for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID",
                                   "MLFLOW_EXPERIMENT_ID")} == {""}  # fmt: skip
    ours = SETTINGS._replace(tracking_uri="https://mlflow.example")
    env = told(lowered(generative(), ours), "train")["env"]
    assert (env["MLFLOW_TRACKING_URI"], env["MLFLOW_RUN_ID"]) == ("https://mlflow.example", "")


def test_another_image_is_another_version_of_its_environment() -> None:
    """Azure takes an environment that is there, whatever its image is by now."""
    digest = "ab" * 32
    name, version = environment(f"example.azurecr.io/trefoil-trainer:1@sha256:{digest}")
    assert name == "trefoil-trainer"
    assert version.startswith(digest[:16])
    others = [
        f"other.azurecr.io/trefoil-trainer:1@sha256:{digest}",
        "example.azurecr.io/trefoil-trainer:1",
        "example.azurecr.io/trefoil-trainer:2",
        "trefoil-trainer",
    ]
    versions = {environment(each)[1] for each in others}
    assert len(versions | {version}) == 5
    body: Any = lowered(generative()).body
    for each in body["environments"]:
        assert environment(each["image"]) == (each["name"], each["version"])


def test_what_an_account_must_tell_is_asked_for_at_once() -> None:
    with pytest.raises(SettingsError, match="needs the settings ml_workspace, container: set"):
        lowered(generative(), SETTINGS._replace(ml_workspace="", container=""))


def _with(plan: Plan, step: str, **change: Any) -> Plan:
    steps = tuple(each._replace(**change) if each.name == step else each for each in plan.steps)
    return plan._replace(steps=steps)


def _inputs(plan: Plan, step: str, **inputs: Any) -> Plan:
    return _with(plan, step, inputs={**plan.step(step).inputs, **inputs})


REFUSED = [
    (
        lambda plan: _inputs(plan, "train", dataset=Imported(Constant("gs://b/x"))),
        "step train imports gs://b/x, and azure reads azureml:// addresses alone",
    ),
    (
        lambda plan: _inputs(plan, "train", dataset=Imported(Output("prepare", "where"))),
        "step train imports dataset from an address that only the run knows",
    ),
    (
        lambda plan: _with(plan, "train", resources=Resources(accelerator="A9", accelerators=1)),
        "step train asks for the accelerator A9, and azure has none of that name",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("change", "sentence"), REFUSED, ids=[words for _, words in REFUSED])
def test_what_azure_cannot_do_is_refused_by_a_sentence(change: Any, sentence: str) -> None:
    with pytest.raises(UnsupportedError, match=sentence):
        lowered(change(generative()))


def test_whichever_branch_ran_is_taken() -> None:
    """Each step says whether it ran, so that one after two branches can tell."""
    first = FirstOf((Output("train", "model"), Output("champion", "champion")))
    request = lowered(_inputs(generative(), "evaluate", model=first))
    assert wrong(request) == []
    told_ = told(request, "evaluate")["inputs"]["model"]
    assert [each["of"] for each in told_["first"]] == ["train", "champion"]


def test_names_are_azures_and_keep_apart_what_is_apart() -> None:
    assert named("generative-1", "train") == "generative-1-train"
    long = {named("run", "x" * 300 + end) for end in "ab"}
    assert len(long) == 2
    assert all(len(name) <= 255 for name in long)
    assert named("a_b") != named("a-b")
    assert node("train-1") == "train_1"
    assert node("train_1") != node("train-1")
    assert node("1-train")[0].isalpha()


def test_notes_say_what_it_costs_and_by_whose_prices() -> None:
    (cost,) = lowered(generative()).notes
    assert cost.startswith("costs at most $")
    assert "prices of eastus, not of westeurope as of 20" in cost


if __name__ == "__main__":
    text = json.dumps(shown(), indent=2, sort_keys=True)
    (GOLDEN / "generative.azure.json").write_text(f"{text}\n", encoding="utf-8")
