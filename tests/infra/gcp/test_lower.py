"""A plan as Vertex AI's requests: pure, the same every time, and nothing that it would refuse."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.errors import SettingsError, UnsupportedError
from infra.gcp.jobs import LAUNCHER
from infra.gcp.names import label, named
from infra.plan import Constant, Imported, Json, Plan, Resources
from tests.conformance.cases import CASES
from tests.infra.gcp.lowering import (
    GOLDEN,
    SETTINGS,
    containers,
    custom_job,
    generative,
    lowered,
    plan_of,
    spec_of,
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
        given["uri"] = "gs://example-bucket/outside/c.txt"
    return case.change(
        plan_of(compile.load(str(folder / f"{case.pipeline}.yaml"), tmp_path), **given)
    )


def _asking(step: str, **asked: Any) -> Plan:
    """Our own pipeline, in which one step asks for something."""
    plan = generative()
    steps = tuple(
        each._replace(resources=each.resources._replace(**asked)) if each.name == step else each
        for each in plan.steps
    )
    return plan._replace(steps=steps)


def test_our_pipeline_becomes_the_golden_request() -> None:
    """What is sent to a cloud changes only when somebody means it to.

    After a change that is meant: python -m tests.infra.gcp.test_lower
    """
    golden = json.loads((GOLDEN / "generative.gcp.json").read_text(encoding="utf-8"))
    assert json.loads(json.dumps(shown())) == golden


def shown() -> Any:
    """Our pipeline, its training on two spot machines with a GPU each."""
    asked = {"spot": True, "nodes": 2, "accelerator": "L4", "accelerators": 1}
    return lowered(_asking("train", **asked)).body


def test_vertex_ai_would_refuse_nothing_of_it() -> None:
    assert wrong(lowered(generative())) == []
    assert wrong(lowered(_asking("train", spot=True, accelerator="A100", accelerators=8))) == []


@pytest.mark.parametrize("name", [case.name for case in CASES])
def test_no_plan_becomes_a_request_that_vertex_ai_refuses(
    compiled: Path, name: str, tmp_path: Path
) -> None:
    assert wrong(lowered(conformance(compiled, name, tmp_path))) == []


def test_the_same_plan_is_the_same_bytes_in_another_process() -> None:
    """Names and keys are made of it: a repeated submit must find the first."""
    script = (
        "import json; from tests.infra.gcp.lowering import *; "
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
        "import sys; from tests.infra.gcp.lowering import lowered, generative; "
        "lowered(generative()); "
        "sdks = ('google.auth', 'google.protobuf', 'googleapiclient', 'kfp'); "
        "print([m for m in sys.modules if m.startswith(sdks)])"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert run.stdout.strip() == "[]"


def test_what_the_pipeline_says_stays_kfps_own() -> None:
    """Conditions, exit handlers and the graph are Vertex AI's to keep; we change none of them."""
    source: Any = generative().source["pipeline"]
    found = spec_of(lowered(generative()))
    assert found["root"] == source["root"]
    assert found["pipelineInfo"] == source["pipelineInfo"]
    gates = [json.dumps(each) for each in (source["components"], found["components"])]
    assert gates[0].count("triggerPolicy") == gates[1].count("triggerPolicy") > 0


def test_accelerators_have_vertex_ais_names_in_the_old_and_the_new_fields() -> None:
    """A backend reads one or the other; the one that is missing is no accelerator at all."""
    request = lowered(_asking("train", accelerator="T4", accelerators=2))
    assert containers(request)["exec-train"]["resources"]["accelerator"] == {
        "type": "NVIDIA_TESLA_T4", "count": "2",
        "resourceType": "NVIDIA_TESLA_T4", "resourceCount": "2",
    }  # fmt: skip
    assert wrong(request) == []


def test_a_step_on_spot_machines_is_a_custom_job_that_googles_launcher_starts() -> None:
    plan = _asking("train", spot=True, accelerator="L4", accelerators=1)
    request = lowered(plan)
    assert wrong(request) == []
    container = containers(request)["exec-train"]
    assert container["image"] == LAUNCHER
    assert container["args"][:2] == ["--type", "CustomJob"]
    job = custom_job(request, "exec-train")
    spec = job["jobSpec"]
    assert spec["scheduling"] == {
        "strategy": "SPOT", "restartJobOnWorkerRestart": True, "timeout": "86400s",
    }  # fmt: skip
    assert spec["baseOutputDirectory"]["outputUriPrefix"] == (
        "gs://example-bucket/trefoil/checkpoints/generative-1/train"
    )
    (pool,) = spec["workerPoolSpecs"]
    assert pool["machineSpec"] == {
        "machineType": "g2-standard-4", "acceleratorType": "NVIDIA_L4", "acceleratorCount": 1,
    }  # fmt: skip
    assert pool["containerSpec"]["args"][:3] == ["python", "-m", "components.train"]
    assert "{{$.inputs.artifacts['dataset'].path}}" in pool["containerSpec"]["args"]
    assert job["labels"] | {"trefoil-run": "generative-1", "trefoil-step": "train"} == job["labels"]


def test_the_launcher_is_told_fields_as_its_python_wants_them() -> None:
    """It hands the JSON to a protobuf of Python's, which knows snake case alone."""
    request = lowered(_asking("train", spot=True))
    args = containers(request)["exec-train"]["args"]
    payload = args[args.index("--payload") + 1]
    assert '"base_output_directory": {"output_uri_prefix": "gs://' in payload
    assert "\"worker_pool_specs\": {{$.inputs.parameters['worker_pool_specs']}}" in payload
    assert "workerPoolSpecs" not in json.dumps(spec_of(request)["components"]["comp-train"])


def test_several_machines_are_a_chief_and_a_pool_of_workers() -> None:
    job = custom_job(lowered(_asking("train", nodes=4)), "exec-train")
    counts = [pool["replicaCount"] for pool in job["jobSpec"]["workerPoolSpecs"]]
    assert counts == ["1", "3"]


def test_a_step_with_an_account_of_its_own_is_a_custom_job() -> None:
    """A pipeline's steps are all one account; deploy may do what training must not."""
    who = "trefoil-deploy@example-project.iam.gserviceaccount.com"
    request = lowered(generative(), SETTINGS._replace(step_accounts={"deploy": who}))
    assert wrong(request) == []
    assert custom_job(request, "exec-deploy")["jobSpec"]["serviceAccount"] == who
    assert containers(request)["exec-train"]["image"] != LAUNCHER


def test_a_plan_of_one_step_is_one_custom_job() -> None:
    plan = generative()
    request = lowered(plan._replace(steps=(plan.step("prepare"),)))
    body: Any = request.body
    assert "pipeline" not in body
    assert wrong(request) == []
    assert body["job"]["displayName"] == "generative-1-prepare"
    container = body["job"]["jobSpec"]["workerPoolSpecs"][0]["containerSpec"]
    (launcher,) = [key for key in body["files"] if key.endswith("/launcher.py")]
    assert container["command"] == ["python3", f"/gcs/example-bucket/{launcher}"]
    assert container["args"] == [
        "vertex", "--outputs", "/gcs/example-bucket/trefoil/runs/generative-1/prepare",
        "--checkpoints",
        "/gcs/example-bucket/trefoil/checkpoints/generative-1/prepare/checkpoints",
    ]  # fmt: skip


def test_settings_of_the_project_reach_every_job() -> None:
    settings = SETTINGS._replace(
        kms_key="projects/example-project/locations/europe-west4/keyRings/r/cryptoKeys/k",
        network="projects/123456789012/global/networks/trefoil",
        labels={"team": "models"},
        overrides={
            "PipelineJob": {"preflightValidations": True},
            "CustomJob": {"jobSpec": {"enableWebAccess": True}},
        },
        disk_gb=200,
    )
    request = lowered(_asking("train", spot=True), settings)
    assert wrong(request) == []
    body: Any = request.body
    pipeline, job = body["pipeline"]["job"], custom_job(request, "exec-train")
    assert pipeline["preflightValidations"] is True
    assert job["jobSpec"]["enableWebAccess"] is True
    for each in (pipeline, job):
        assert each["encryptionSpec"] == {"kmsKeyName": settings.kms_key}
        assert each["labels"]["team"] == "models"
    assert pipeline["network"] == job["jobSpec"]["network"] == settings.network
    assert pipeline["serviceAccount"] == SETTINGS.service_account
    assert job["jobSpec"]["workerPoolSpecs"][0]["diskSpec"] == {"bootDiskSizeGb": 200}


def test_what_a_project_must_tell_is_asked_for_at_once() -> None:
    with pytest.raises(SettingsError, match="gcp needs the settings bucket, service_account: set"):
        lowered(generative(), SETTINGS._replace(bucket="", service_account=""))


def _in_a_loop(plan: Plan) -> Plan:
    train = plan.step("train")._replace(resources=Resources(spot=True))
    return plan._replace(steps=(train, train._replace(name="train-2")))


def _importing(uri: str) -> Callable[[Plan], Plan]:
    def change(plan: Plan) -> Plan:
        train = plan.step("train")
        inputs = {**train.inputs, "dataset": Imported(Constant(uri))}
        steps = [train._replace(inputs=inputs) if each is train else each for each in plan.steps]
        return plan._replace(steps=tuple(steps))

    return change


REFUSED: list[tuple[Callable[[Plan], Plan], str]] = [
    (_in_a_loop, "step train is in a loop, and there gcp runs it not on spot machines"),
    (_importing("s3://b/x"), "step train imports s3://b/x, and gcp reads gs:// addresses alone"),
    (_importing("/tmp/x"), "step train imports a file of this machine, and gcp reads gs://"),
    (
        lambda _: _asking("train", accelerator="A10G", accelerators=1),
        "asks for the accelerator A10G, and gcp has none of that name; did you mean A100",
    ),
    (lambda _: _asking("train", accelerator="H100", accelerators=9), "9 x H100 in one machine"),
]


@pytest.mark.parametrize(("change", "sentence"), REFUSED, ids=[words for _, words in REFUSED])
def test_what_vertex_ai_cannot_do_is_refused_by_a_sentence(
    change: Callable[[Plan], Plan], sentence: str
) -> None:
    with pytest.raises(UnsupportedError, match=sentence):
        lowered(change(generative()))


def test_names_are_vertex_ais_and_keep_apart_what_is_apart() -> None:
    assert named("generative-1", "train") == "generative-1-train"
    long = {named("run", "x" * 80 + end) for end in "ab"}
    assert len(long) == 2
    assert all(len(name) <= 63 for name in long)
    assert named("a_b") != named("a-b")
    assert named("1-run")[0].isalpha()
    assert label("My Run") != label("my-run")
    assert len(label("x" * 99)) <= 63


def test_notes_say_what_it_costs_and_which_image_cannot_be_pulled() -> None:
    """Both would else be found out from a bill, or from a job that waits for its image."""
    plan = generative()
    (cost,) = lowered(plan).notes
    assert cost.startswith("costs at most $")
    assert "prices of us-central1, not of europe-west4 as of 20" in cost
    first, _ = lowered(plan, SETTINGS._replace(images={"trefoil-trainer": "python:3.11"})).notes
    assert first.startswith("the image python:3.11 is in no registry of Google's")
    (unknown,) = lowered(_asking("train", accelerator="L4", accelerators=1)).notes
    assert unknown == "no price is known of g2-standard-4: say it by the setting prices"


def test_a_timeout_without_effect_is_told() -> None:
    plan = generative()
    steps = tuple(
        each._replace(timeout=60.0) if each.name == "prepare" else each for each in plan.steps
    )
    notes = lowered(plan._replace(steps=steps)).notes
    assert any("step prepare: a step of Vertex AI's pipelines has no timeout" in n for n in notes)


if __name__ == "__main__":
    text = json.dumps(shown(), indent=2, sort_keys=True)
    (GOLDEN / "generative.gcp.json").write_text(f"{text}\n", encoding="utf-8")
