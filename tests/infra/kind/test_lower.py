"""What is posted to Kubeflow Pipelines: the pipeline as it was, with what the plan says of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from infra import ir
from infra.errors import InputError, SettingsError, UnsupportedError
from infra.kind import PROVIDER, KindSettings
from infra.plan import Plan, Request, Resources
from pipelines import compile
from tests.pipelines.test_golden import IR

SETTINGS = KindSettings(image_tag="0123456789ab")
Compiled: TypeAlias = Callable[[str], dict[str, Any]]
PLANS = Path(__file__).parents[2] / "plans"


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    """Gives the IR of a pipeline in tests/plans, compiled once."""
    workspace = tmp_path_factory.mktemp("ir")
    return lambda name: compile.load(str(PLANS / f"{name}.py"), workspace)


def generative() -> Plan:
    return ir.read(json.loads(IR.read_text(encoding="utf-8")))


def lower(plan: Plan, settings: KindSettings = SETTINGS) -> Request:
    return PROVIDER.lower(plan, settings, "r-1")


def run_of(request: Request) -> dict[str, Any]:
    run: Any = request.body["run"]
    assert isinstance(run, dict)
    return run


def spec_of(request: Request) -> dict[str, Any]:
    spec: dict[str, Any] = run_of(request)["pipeline_spec"]["pipeline_spec"]
    return spec


def containers(request: Request) -> dict[str, Any]:
    executors = spec_of(request)["deploymentSpec"]["executors"]
    return {label: executor["container"] for label, executor in executors.items()}


def pods(request: Request) -> dict[str, Any]:
    platforms = run_of(request)["pipeline_spec"]["platform_spec"]["platforms"]
    found: dict[str, Any] = platforms["kubernetes"]["deploymentSpec"]["executors"]
    return found


def environment(request: Request, label: str) -> dict[str, str]:
    return {each["name"]: each["value"] for each in containers(request)[label]["env"]}


def told_where(request: Request) -> set[str]:
    """Who is told where checkpoints are kept."""
    labels = containers(request)
    return {label for label in labels if "TREFOIL_CHECKPOINTS" in environment(request, label)}


def equipped(plan: Plan, **resources: Any) -> Plan:
    """The plan as --gpu leaves it."""
    steps = tuple(
        step._replace(resources=step.resources._replace(**resources))
        if step.name == "train"
        else step
        for step in plan.steps
    )
    return plan._replace(steps=steps)


def only(plan: Plan, *names: str) -> Plan:
    """The plan as --step leaves it."""
    return plan._replace(steps=tuple(step for step in plan.steps if step.name in names))


def test_what_the_plan_does_not_change_stays_the_pipelines_own() -> None:
    """Conditions, retries and exit handlers must reach Kubeflow Pipelines as the author wrote."""
    source = json.loads(IR.read_text(encoding="utf-8"))["pipeline"]
    sent = json.loads(json.dumps(spec_of(lower(generative()))))
    for executor in (*sent["deploymentSpec"]["executors"].values(),):
        executor["container"].pop("env")
        executor["container"]["image"] = "trefoil-trainer"
    source["deploymentSpec"]["executors"]["exec-deploy"]["container"].pop("env")
    assert sent == source


def test_every_image_of_ours_has_the_tag_of_a_commit() -> None:
    images = {each["image"] for each in containers(lower(generative())).values()}
    assert images == {"trefoil-trainer:0123456789ab"}
    elsewhere = SETTINGS._replace(registry="registry:5000/team/")
    images = {each["image"] for each in containers(lower(generative(), elsewhere)).values()}
    assert images == {"registry:5000/team/trefoil-trainer:0123456789ab"}
    own = SETTINGS._replace(images={"trefoil-trainer": "mine@sha256:1"})
    assert containers(lower(generative(), own))["exec-train"]["image"] == "mine@sha256:1"


def test_the_tag_is_that_of_this_code_where_nothing_says_otherwise() -> None:
    """An old image would run old code, without a word."""
    from infra.images import revision
    from infra.images.catalogue import CONTENTS, ROOT

    image = containers(lower(generative(), KindSettings()))["exec-train"]["image"]
    assert image == f"trefoil-trainer:{revision.of(ROOT, CONTENTS).tag}"
    assert not image.endswith("latest")


@pytest.mark.parametrize(
    "settings",
    [
        KindSettings(image_tag="latest-cuda"),
        KindSettings(images={"trefoil-trainer": "r/t@sha256:abcd", "trefoil-server": "r/s:1"}),
        KindSettings(images={"trefoil-trainer": "localhost:5000/py"}),
    ],
)
def test_a_commit_is_told_of_images_of_this_code_alone(settings: KindSettings) -> None:
    """A registered model would name as its code what is no commit, or another's."""
    from infra.images import revision
    from infra.images.catalogue import CONTENTS, ROOT

    known = revision.of(ROOT, CONTENTS).text.removesuffix("dirty")
    here = environment(lower(generative(), KindSettings()), "exec-train")
    assert here["TREFOIL_GIT_COMMIT"] == known
    assert "TREFOIL_GIT_COMMIT" not in environment(lower(generative(), settings), "exec-train")


def test_an_image_of_ones_own_is_left_alone(
    compiled: Compiled,
) -> None:
    plan = ir.read(compiled("scopes"))
    request = lower(plan)
    images = {each["image"] for each in containers(request).values()}
    assert images == {"i", "own:1"}
    assert request.notes == (
        "the image i has no tag: the node runs whichever it has, or pulls latest",
    )


def test_a_step_finds_its_run_and_mlflow_in_its_environment() -> None:
    found = environment(lower(generative()), "exec-train")
    assert found == {
        "TREFOIL_PROVIDER": "kind",
        "TREFOIL_PLAN_DIGEST": generative().digest(),
        "TREFOIL_TRAINER_IMAGE": "trefoil-trainer:0123456789ab",
        "TREFOIL_SERVER_IMAGE": "trefoil-server:0123456789ab",
        "TREFOIL_RUN_ID": "r-1",
        "MLFLOW_TRACKING_URI": "http://mlflow.kubeflow:5000",
        "MLFLOW_EXPERIMENT_NAME": "trefoil",
        "TREFOIL_CHECKPOINTS": "/trefoil/work/r-1-train/checkpoints",
    }
    assert environment(lower(generative()), "exec-deploy")["TREFOIL_ON_HOST"] == "1"


def test_checkpoints_of_a_step_that_is_tried_again_outlive_its_pod() -> None:
    """An evicted pod takes its disk with it: hours of training would begin anew."""
    kept = told_where(lower(generative()))
    assert kept == {"exec-train"}
    mounts = pods(lower(generative()))["exec-train"]["pvcMount"]
    assert [(each["constant"], each["mountPath"]) for each in mounts] == [
        ("trefoil-work", "/trefoil/work")
    ]


def test_without_a_claim_a_retry_starts_anew_and_says_so() -> None:
    """A claim that the cluster does not have would keep the pod from ever starting."""
    request = lower(generative(), SETTINGS._replace(work_claim=""))
    assert told_where(request) == set()
    assert "pvcMount" not in pods(request)["exec-train"]
    words = "step train: a retry starts anew, for the setting work_claim is empty"
    assert words in request.notes


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        ("http://127.0.0.1:5000", "http://mlflow.kubeflow:5000"),
        ("http://localhost:5000", "http://mlflow.kubeflow:5000"),
        ("https://mlflow.example.com", "https://mlflow.example.com"),
        ("none", None),
    ],
)
def test_steps_see_mlflow_where_they_can_reach_it(given: str, seen: str | None) -> None:
    """An address of this machine alone would let every step of a pod wait in vain."""
    request = lower(generative(), SETTINGS._replace(tracking_uri=given))
    assert environment(request, "exec-train").get("MLFLOW_TRACKING_URI") == seen


def test_a_database_in_a_file_is_refused() -> None:
    with pytest.raises(SettingsError, match="steps on a cluster do not reach MLflow at sqlite"):
        lower(generative(), SETTINGS._replace(tracking_uri="sqlite:////tmp/mlflow.db"))


def test_parameters_are_sent_bound() -> None:
    document = json.loads(IR.read_text(encoding="utf-8"))
    request = lower(ir.read(document, {"seed": "7", "promote": "never"}))
    sent = run_of(request)["runtime_config"]["parameters"]
    assert (sent["seed"], sent["promote"], sent["data"]) == (7, "never", "digits")


def test_caching_is_as_the_plan_has_it() -> None:
    plan = generative()
    tasks = spec_of(lower(plan))["components"]["comp-exit-handler-1"]["dag"]["tasks"]
    assert tasks["train"]["cachingOptions"] == {"enableCache": True}
    assert tasks["champion"]["cachingOptions"] == {}
    off = plan._replace(steps=tuple(step._replace(cache=False) for step in plan.steps))
    tasks = spec_of(lower(off))["components"]["comp-exit-handler-1"]["dag"]["tasks"]
    assert tasks["train"]["cachingOptions"] == {}


def test_steps_left_out_are_not_sent() -> None:
    """--step train must not register a model because its task was still in the IR."""
    spec = spec_of(lower(only(generative(), "prepare", "train")))
    assert list(spec["root"]["dag"]["tasks"]) == ["exit-handler-1"]
    inner = spec["components"]["comp-exit-handler-1"]["dag"]["tasks"]
    assert sorted(inner) == ["prepare", "train"]
    assert sorted(spec["deploymentSpec"]["executors"]) == ["exec-prepare", "exec-train"]
    again = ir.read({"pipeline": spec})
    assert [step.name for step in again.steps] == ["prepare", "train"]


def test_an_output_of_a_group_goes_with_the_steps_that_made_it(compiled: Compiled) -> None:
    """A DAG that promises an output of a task that is not there is refused by the server."""
    plan = ir.read(compiled("features"))
    kept = only(plan, "make-2", "use")
    spec = spec_of(lower(kept))
    assert {step.name for step in ir.read({"pipeline": spec}).steps} == {"make-2", "use"}


def test_gpus_are_asked_for_as_kfp_would(compiled: Compiled) -> None:
    document = compiled("pods")
    want = document["pipeline"]["deploymentSpec"]["executors"]["exec-fit-on-gpus"]["container"]
    plan = ir.read(document)
    steps = tuple(
        step._replace(resources=step.resources._replace(accelerator="A100", accelerators=8))
        for step in plan.steps
    )
    request = lower(plan._replace(steps=steps))
    assert containers(request)["exec-fit"]["resources"] == want["resources"]
    assert request.notes[0].startswith("step fit: here a GPU is a nvidia.com/gpu, whatever its")


def test_steps_that_share_an_executor_and_differ_get_one_each(compiled: Compiled) -> None:
    """A GPU for one step must not become a GPU for every step of the same component."""
    plan = ir.read(compiled("features"))
    first = plan.step("use")
    twin = next(
        step
        for step in plan.steps
        if step.name != "use" and step.argv == first.argv and step.task[0] != first.task[0]
    )
    changed = tuple(
        step._replace(resources=Resources(accelerator="A100", accelerators=1))
        if step.name == twin.name
        else step
        for step in plan.steps
    )
    request = lower(plan._replace(steps=changed))
    again = ir.read({"pipeline": spec_of(request)})
    assert again.step(twin.name).resources.accelerators == 1
    assert again.step("use").resources.accelerators == 0


def test_the_settings_of_pods_are_what_kfp_kubernetes_compiles(compiled: Compiled) -> None:
    """Its protobuf is what the server reads: a field of another name would be dropped there."""
    document = compiled("pods")
    bare = ir.read({"pipeline": document["pipeline"]})
    settings = SETTINGS._replace(
        pull_policy="Never",
        shm="2g",
        secrets={
            "MLFLOW_TRACKING_TOKEN": "mlflow/token",
            "HUB_USER": "hub/user",
            "HUB_KEY": "hub/key",
        },
        tolerations=(
            {"key": "gpu", "operator": "Exists", "effect": "NoSchedule"},
            {
                "key": "pool",
                "operator": "Equal",
                "value": "a",
                "effect": "NoExecute",
                "tolerationSeconds": 10,
            },
        ),
        node_selector={"pool": "a"},
        claims={"trefoil-data": "/trefoil/data"},
    )
    platforms = run_of(lower(bare, settings))["pipeline_spec"]["platform_spec"]
    assert platforms == document["platforms"]


def test_what_the_pipeline_asks_of_kubernetes_wins(compiled: Compiled) -> None:
    plan = ir.read(compiled("pods"))
    found = pods(lower(plan))["exec-fit"]
    assert found["imagePullPolicy"] == "Never"
    assert [mount["sizeLimit"] for mount in found["emptyDirMounts"]] == ["2Gi"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"shm": "much"}, "the setting shm is 'much'; write it like 1g or 512Mi"),
        ({"secrets": {"T": "token"}}, "secrets gives T the place 'token'; write SECRET/KEY"),
        ({"tracking_uri": "http://me:s3cret@host"}, "tracking_uri has a user .* setting secrets"),
        ({"step_tracking_uri": "http://s3cret@host"}, "step_tracking_uri has a user in it"),
    ],
)
def test_a_wrong_setting_is_one_sentence(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words) as refused:
        lower(generative(), SETTINGS._replace(**settings))
    assert "s3cret" not in str(refused.value)


def test_deploy_is_told_by_what_the_registry_is_reached() -> None:
    """And of no secret that has nothing to do with it."""
    places = {"MLFLOW_TRACKING_TOKEN": "mlflow/token", "AWS_SECRET_ACCESS_KEY": "store/key"}
    settings = SETTINGS._replace(secrets={**places, "HUB_KEY": "hub/key"})
    for told in (
        environment(lower(generative(), settings), "exec-deploy"),
        PROVIDER.environment(settings),
    ):
        assert json.loads(told["TREFOIL_FETCHING"]) == places
    assert "TREFOIL_FETCHING" not in PROVIDER.environment(SETTINGS)


def test_overrides_are_laid_over_the_request() -> None:
    """Options that we do not repeat can be given all the same."""
    settings = SETTINGS._replace(
        overrides={"run": {"service_account": "me", "runtime_config": {"pipeline_root": "s3://b"}}}
    )
    run = run_of(lower(generative(), settings))
    assert run["service_account"] == "me"
    assert run["runtime_config"]["pipeline_root"] == "s3://b"
    assert run["runtime_config"]["parameters"]["data"] == "digits"


def test_what_kind_cannot_do_is_refused_with_its_reason() -> None:
    with pytest.raises(UnsupportedError, match="asks for spot, and kind cannot: the nodes"):
        lower(equipped(generative(), spot=True))


def test_without_git_the_tag_must_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(InputError, match="git is not on PATH; or set TREFOIL_IMAGE_TAG"):
        lower(generative(), KindSettings())


def test_nothing_is_billed() -> None:
    assert PROVIDER.price(generative(), SETTINGS) == 0.0
