"""A step on several nodes: what is asked of Kubernetes, and pods that really train together."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from infra import ir
from infra.errors import ProviderError, UnsupportedError
from infra.kind import PROVIDER, KindSettings, following
from infra.kind.api import Cluster
from infra.kind.cluster.rules import Beside, problems
from infra.kind.job_manifests import JOB, job_name, named
from infra.kind.shared import Shared
from infra.local.rundir import StepDirectory
from infra.plan import Plan, Request
from tests.infra.kind.fake_kubernetes import FakeKubernetes
from tests.infra.kind.rehearsing import SETTINGS, plan_of, standing, states
from tests.pipelines.test_golden import IR, spread
from tests.served import ROOT, until

Compiled = Callable[[str], dict[str, Any]]
NAME = "r-1-train"
BESIDE = Beside(frozenset({"PersistentVolumeClaim/trefoil-work", "PersistentVolumeClaim/mine",
                           "Secret/vault"}))  # fmt: skip
RICH = KindSettings(
    image_tag="0123456789ab", secrets={"API_TOKEN": "vault/token"}, claims={"mine": "/mine"},
    node_selector={"pool": "gpu"}, tolerations=({"key": "gpu", "tolerationSeconds": 9},),
)  # fmt: skip


def generative(**resources: Any) -> Plan:
    plan = spread(ir.read(json.loads(IR.read_text(encoding="utf-8"))), 2)
    steps = [
        step._replace(resources=step.resources._replace(**resources))
        if step.name == "train"
        else step
        for step in plan.steps
    ]
    return plan._replace(steps=tuple(steps))


def executor(plan: Plan, settings: KindSettings = SETTINGS) -> tuple[dict[str, Any], Any]:
    """The container of train, and what is asked of Kubernetes for it."""
    run: Any = PROVIDER.lower(plan, settings, "r-1").body["run"]
    spec, platforms = run["pipeline_spec"].values()
    of_kubernetes = platforms["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    container = spec["deploymentSpec"]["executors"]["exec-train"]["container"]
    return container, of_kubernetes["exec-train"]


def documents(plan: Plan, settings: KindSettings = SETTINGS) -> list[dict[str, Any]]:
    args = executor(plan, settings)[0]["args"]
    return named(args[args.index("--manifests") + 1], NAME)


def pod_spec(found: list[dict[str, Any]]) -> dict[str, Any]:
    spec: dict[str, Any] = found[1]["spec"]["template"]["spec"]
    return spec


@pytest.mark.parametrize("settings", [SETTINGS, RICH], ids=["plain", "rich"])
@pytest.mark.parametrize("count", [0, 1, 4])
def test_the_manifests_keep_to_schema_and_rules(settings: KindSettings, count: int) -> None:
    found = documents(generative(accelerators=count, accelerator="nvidia.com/gpu"), settings)
    found[1]["spec"]["template"]["spec"]["containers"][0]["command"] = ["true"]
    for document in found:
        kubernetes_validate.validate(document, "1.33", strict=True)
    assert problems(found, BESIDE) == []


def test_each_node_knows_its_number_and_where_the_first_is() -> None:
    """Two that both take themselves for the first would wait for ever."""
    found = documents(generative())
    env = {each["name"]: each for each in pod_spec(found)["containers"][0]["env"]}
    assert env["WORLD_SIZE"]["value"] == "2"
    assert env["MASTER_ADDR"]["value"] == f"{NAME}-0.{NAME}"
    assert "job-completion-index" in env["RANK"]["valueFrom"]["fieldRef"]["fieldPath"]
    assert pod_spec(found)["subdomain"] == found[0]["metadata"]["name"] == NAME
    assert found[0]["spec"]["selector"] == found[1]["spec"]["template"]["metadata"]["labels"]


def test_a_node_with_several_accelerators_starts_them_by_torchrun() -> None:
    found = documents(generative(accelerators=4, accelerator="A100"), RICH)
    (container,) = pod_spec(found)["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "4"
    env = {each["name"]: each.get("value") for each in container["env"]}
    assert env.items() >= {"PET_NNODES": "2", "PET_NPROC_PER_NODE": "4"}.items()
    assert "RANK" not in env
    shared = Shared(NAME, [], [])
    following.filled(found, ["python", "-m", "components.train", "--seed", "1"], [], shared)
    torchrun = ["python", "-m", "torch.distributed.run", "--module", "components.train"]
    assert container["command"] == [*torchrun, "--seed", "1"]


def test_the_launcher_takes_no_accelerator_and_shares_the_claim() -> None:
    """It waits; what it held would stand idle."""
    container, pod = executor(generative(accelerators=2, accelerator="A100"), RICH)
    assert "resources" not in container
    assert container["command"] == ["python", "-m", "components.launch"]
    assert {each["constant"]: each["mountPath"] for each in pod["pvcMount"]} == {
        "mine": "/mine", "trefoil-work": "/trefoil/work"
    }  # fmt: skip
    spec = pod_spec(documents(generative(), RICH))
    assert spec["nodeSelector"] == {"pool": "gpu"}
    assert spec["tolerations"] == [{"key": "gpu", "tolerationSeconds": 9}]
    secret = {"secretKeyRef": {"name": "vault", "key": "token"}}
    assert {"name": "API_TOKEN", "valueFrom": secret} in spec["containers"][0]["env"]


def test_another_run_finds_the_same_words_so_that_the_cache_does() -> None:
    """Kubeflow Pipelines compares commands, not environments."""
    first, second = (PROVIDER.lower(generative(), SETTINGS, run) for run in ("no-1", "no-2"))
    assert "no-1" in json.dumps(first.body)
    assert _commands(first) == _commands(second)
    assert "no-1" not in json.dumps(_commands(first))


def _commands(request: Request) -> Any:
    run: Any = request.body["run"]
    executors = run["pipeline_spec"]["pipeline_spec"]["deploymentSpec"]["executors"]
    return [
        (each["container"]["command"], each["container"]["args"]) for each in executors.values()
    ]


def test_a_secret_is_not_passed_by_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKEN", "hush")
    monkeypatch.setenv("COLOUR", "red")
    found = documents(generative(), RICH)
    following.filled(found, ["true"], ["API_TOKEN", "COLOUR", "ABSENT"], Shared(NAME, [], []))
    env = pod_spec(found)["containers"][0]["env"]
    assert "hush" not in json.dumps(env)
    assert {"name": "COLOUR", "value": "red"} in env


@pytest.mark.parametrize(
    ("run", "step", "name"),
    [("r-1", "train", "r-1-train"), ("R_1", "fit.all", "r-1-fit-all"),
     ("9", "train", "job-"), ("r" * 60, "train", "job-")],
)  # fmt: skip
def test_a_job_has_a_name_that_its_pods_can_be_called_by(run: str, step: str, name: str) -> None:
    found = job_name(run, step)
    assert found.startswith(name)
    assert len(f"{found}-9999") <= 63


def test_what_cannot_be_on_several_nodes_is_refused(compiled: Compiled) -> None:
    plan = _everywhere(plan_of(compiled("lightweight")))
    with pytest.raises(UnsupportedError, match="is in a loop, and runs on one node there"):
        PROVIDER.lower(plan, SETTINGS, "r-1")
    first = plan._replace(steps=plan.steps[:1])
    with pytest.raises(UnsupportedError, match="is a lightweight component"):
        PROVIDER.lower(first, SETTINGS, "r-1")


def _everywhere(plan: Plan) -> Plan:
    steps = [each._replace(resources=each.resources._replace(nodes=2)) for each in plan.steps]
    return plan._replace(steps=tuple(steps))


# --- pods that run


def launch(cluster: Path, code: str, *words: str, **environment: str) -> subprocess.Popen[str]:
    """The launcher in a run's pod, for two nodes that run some Python."""
    args = executor(generative())[0]["args"]
    manifests = args[args.index("--manifests") + 1]
    flags = ["--step", "train", "--manifests", manifests, "--start-deadline", "60", *words]
    own = {"TREFOIL_RUN_ID": "r-1", "TREFOIL_WORK": str(cluster / "kubernetes/claims/trefoil-work")}
    return subprocess.Popen(
        [sys.executable, "-m", "components.launch", *flags, "--", "python", "-S", "-c", code,
         *words[1::2]],
        cwd=ROOT, env={**os.environ, **own, **environment}, text=True, stderr=subprocess.PIPE,
    )  # fmt: skip


def kept(workspace: Path) -> Path:
    """Where the nodes keep checkpoints."""
    return workspace / f"kubernetes/claims/trefoil-work/{NAME}/checkpoints"


@pytest.fixture
def namespace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKubernetes]:
    """A cluster that keeps objects and runs nothing; a Job is complete at once."""
    with FakeKubernetes() as server:
        server.write_kubeconfig(tmp_path / "config", "kind-trefoil")
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
        monkeypatch.setenv("TREFOIL_WORK", str(tmp_path / "work"))
        server.put("/api/v1/namespaces/kubeflow", {"kind": "Namespace", "metadata": {}})
        yield server


def pods() -> list[dict[str, Any]]:
    with Cluster() as cluster:
        return cluster.all("Pod", {JOB: NAME})


def test_the_first_node_is_heard_and_what_it_wrote_is_brought(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("deep")
    code = """
import os, sys
rank, size = os.environ["RANK"], os.environ["WORLD_SIZE"]
print("node", rank, "of", size, "reads", open(sys.argv[1]).read(), flush=True)
if rank == "0":
    open(sys.argv[2], "w").write("done")
"""
    with standing(tmp_path):
        flags = ("--read", str(tmp_path / "in"), "--write", str(tmp_path / "made/out"))
        done = launch(tmp_path, code, *flags)
        said = done.communicate(timeout=100)[1]
        assert (done.returncode, said) == (0, "node 0 of 2 reads deep\n")
        assert pods() == []
    assert (tmp_path / "made/out").read_text() == "done"
    assert not list((tmp_path / "kubernetes/claims/trefoil-work").iterdir())


def test_one_node_that_fails_ends_all_with_its_reason(tmp_path: Path) -> None:
    """The others would wait for it, and a person for them."""
    code = """
import os, sys, time
if os.environ["RANK"] == "1":
    sys.exit("the disk of the robot is full")
time.sleep(600)
"""
    with standing(tmp_path):
        done = launch(tmp_path, code)
        said = done.communicate(timeout=100)[1]
        assert done.returncode == 1
        assert "error: node 1 of 2: its container node ended with exit code 1\n" in said
        assert "    the disk of the robot is full" in said
        assert pods() == []


def test_a_launcher_that_is_asked_to_end_lets_its_nodes_save(tmp_path: Path) -> None:
    code = """
import os, pathlib, signal, time
place = pathlib.Path(os.environ["TREFOIL_CHECKPOINTS"])
def save(*_):
    (place / os.environ["RANK"]).write_text("saved")
    raise SystemExit(143)
signal.signal(signal.SIGTERM, save)
print("waiting", flush=True)
time.sleep(600)
"""
    with standing(tmp_path):
        asked = launch(tmp_path, code)
        assert asked.stderr is not None
        assert asked.stderr.readline() == "waiting\n"
        asked.terminate()
        said = asked.communicate(timeout=100)[1]
        assert (asked.returncode, said) == (143, "stopped on request: its nodes have ended\n")
        assert pods() == []
    assert {each.name for each in kept(tmp_path).iterdir()} == {"0", "1"}


def test_the_attempt_after_a_killed_launcher_begins_alone(tmp_path: Path) -> None:
    """Nodes of two attempts at once would spoil each other's checkpoints."""
    code = """
import os, pathlib, time
mark = pathlib.Path(os.environ["TREFOIL_CHECKPOINTS"], os.environ["RANK"])
there = mark.exists()
mark.touch()
print("again" if there else "first", flush=True)
time.sleep(0 if there else 600)
"""
    with standing(tmp_path):
        killed = launch(tmp_path, code)
        assert killed.stderr is not None
        assert killed.stderr.readline() == "first\n"
        until(
            lambda: (
                len(
                    list(
                        (tmp_path / f"kubernetes/claims/trefoil-work/{NAME}/checkpoints").iterdir()
                    )
                )
                == 2
            )
        )
        killed.kill()
        killed.communicate()
        left = {each["metadata"]["uid"] for each in pods()}
        assert len(left) == 2
        done = launch(tmp_path, code)
        said = done.communicate(timeout=100)[1]
        assert (done.returncode, said) == (0, "again\n")


def test_nodes_whose_launcher_is_silent_are_ended(tmp_path: Path) -> None:
    """Kubeflow Pipelines may kill it; a Job nobody waits for would hold GPUs for days."""
    (container,) = pod_spec(documents(generative()))["containers"]
    *shell, words = container["livenessProbe"]["exec"]["command"]
    sign = tmp_path / "alive"
    here = words.replace(f"/trefoil/work/{NAME}/alive", str(sign))
    assert here != words

    def lives() -> bool:
        done = subprocess.run([*shell, here], check=False, stderr=subprocess.DEVNULL)
        return done.returncode == 0

    assert not lives()
    sign.touch()
    assert lives()
    os.utime(sign, (time.time() - 200, time.time() - 200))
    assert not lives()


def test_an_api_server_that_is_away_for_a_while_ends_no_training(
    namespace: FakeKubernetes, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([ProviderError("away"), ProviderError("away"), None])
    real = Cluster.find

    def find(self: Cluster, kind: str, name: str) -> Any:
        if error := next(answers, None):
            raise error
        return real(self, kind, name)

    monkeypatch.setattr(Cluster, "find", find)
    shared = Shared(NAME, [], [])
    found = following.filled(documents(generative()), ["true"], [], shared)
    following.run(found, shared, 60, print, lambda: False)
    answers = iter([ProviderError("away")] * 9)
    monkeypatch.setattr(following, "_AWAY", 0.0)
    with pytest.raises(ProviderError, match="away"):
        following.run(found, shared, 60, print, lambda: False)
    writes = [how for how, path in namespace.writes() if path.endswith(f"/jobs/{NAME}")]
    assert writes == ["DELETE", "PATCH", "DELETE"] * 2


def test_pods_that_find_no_room_say_so(
    namespace: FakeKubernetes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU that no node has would keep a run waiting for ever."""
    namespace.stuck.add(NAME)
    condition = {"type": "PodScheduled", "status": "False", "message": "0/1 nodes: no gpu"}
    later = threading.Timer(0.2, _put_pod, (namespace, condition))
    later.start()
    shared = Shared(NAME, [], [])
    found = following.filled(documents(generative()), ["true"], [], shared)
    monkeypatch.setattr(following, "_PATIENCE", 0.1)
    words = "2 pods could not be started within 0.5 s: no room for its pod: 0/1 nodes: no gpu"
    with pytest.raises(ProviderError, match=words):
        following.run(found, shared, 0.5, print, lambda: False)
    later.join()
    assert ("DELETE", f"/apis/batch/v1/namespaces/kubeflow/jobs/{NAME}") in namespace.writes()


def _put_pod(server: FakeKubernetes, condition: dict[str, str]) -> None:
    index = {"batch.kubernetes.io/job-completion-index": "0"}
    metadata = {"name": "pod", "labels": {JOB: NAME}, "annotations": index}
    body = {"kind": "Pod", "metadata": metadata, "status": {"conditions": [condition]}}
    server.put("/api/v1/namespaces/kubeflow/pods/pod", body)


def test_two_nodes_of_two_processes_each_are_four(compiled: Compiled, tmp_path: Path) -> None:
    plan = plan_of(compiled("nodes"))
    step = plan.steps[0]
    asked = step.resources._replace(nodes=2, accelerators=2, accelerator="nvidia.com/gpu")
    plan = plan._replace(steps=(step._replace(resources=asked),))
    with standing(tmp_path) as stood:
        run = stood.submitted(plan)
        events = list(PROVIDER.follow(run, stood.settings))
        assert states(events)[""] == "succeeded", events[-1].message
        outputs = PROVIDER.outputs(run, stood.settings)
        assert Path(str(outputs["rank"]["out"])).read_text() == "0 of 4"


def test_a_model_is_that_of_as_many_processes_of_one_machine(tmp_path: Path) -> None:
    """Bit for bit: where the nodes are must not decide what is learnt."""
    settings = ["steps=60", "hidden=32", "latent=4", "batch_size=30", "validate_every=30"]
    words = [word for each in settings for word in ("--param", each)]
    done = subprocess.run(
        [sys.executable, "-m", "pipelines", "run", "--provider", "kind", "--rehearse",
         "--set", "image_tag=abc", "--nodes", "2", "--step", "train", *words],
        cwd=ROOT, env={**os.environ, "TREFOIL_WORKSPACE": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (steps,) = tmp_path.glob("rehearsal/kind/kubeflow/runs/*/steps")
    (log,) = steps.glob("train/*.log")
    assert log.read_text().count("shared by 2 processes on 2 nodes") == 1
    found, here = _left(steps / "train", "model"), tmp_path / "here"
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    given = json.dumps(dict(_setting(each) for each in settings))
    subprocess.run(
        [sys.executable, *torchrun, "-m", "components.train", "--dataset",
         str(_left(steps / "prepare", "dataset")), "--config", given, "--model", str(here)],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    assert {each.name: each.read_bytes() for each in here.iterdir()} == {
        each.name: each.read_bytes() for each in found.iterdir()
    }


def _left(step: Path, output: str) -> Path:
    entry = StepDirectory(step).entry()
    assert entry
    return entry.output(output)


def _setting(text: str) -> tuple[str, int]:
    name, _, value = text.partition("=")
    return name, int(value)
