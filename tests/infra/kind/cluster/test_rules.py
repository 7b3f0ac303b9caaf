"""Our manifests keep to Kubernetes' schemas and to the rules; a broken one is told apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import kubernetes_validate
import pytest

from infra.kind.cluster import MLFLOW_URI
from infra.kind.cluster.rules import Beside, problems
from tests.infra.kind.cluster.rendered import documents

Documents = list[dict[str, Any]]

BESIDE = Beside(
    names=frozenset({"ServiceAccount/pipeline-runner", "Secret/mlflow-postgres"}),
    pods=({"app": "ml-pipeline-ui"},),
    node_ports=frozenset({30300, 30500}),
)
VERSIONS = ("1.33", "1.36")
"""The Kubernetes that Kubeflow Pipelines 2.17 is tried on upstream."""


@pytest.mark.parametrize("overlay", ["trefoil", "postgres"])
@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_keeps_to_the_schemas_of_kubernetes(overlay: str, version: str) -> None:
    """A misspelt field would be dropped by some servers and refused by others."""
    found = documents(overlay)
    assert len(found) == {"trefoil": 13, "postgres": 16}[overlay]
    for document in found:
        kubernetes_validate.validate(document, version, strict=True)


@pytest.mark.parametrize("overlay", ["trefoil", "postgres"])
def test_every_manifest_keeps_to_the_rules(overlay: str) -> None:
    """`up` refuses to apply what breaks one, so a release must not."""
    assert problems(documents(overlay), BESIDE) == []


def of(found: Documents, kind: str, name: str = "mlflow") -> Any:
    return next(each for each in found if each["kind"] == kind and each["metadata"]["name"] == name)


def pod(found: Documents) -> Any:
    return of(found, "Deployment")["spec"]["template"]["spec"]


def container(found: Documents) -> Any:
    return pod(found)["containers"][0]


def job(found: Documents) -> None:
    """MLflow's pod as a Job, which ends and so has other rules."""
    deployment = of(found, "Deployment")
    deployment["kind"] = "Job"
    deployment["spec"] = {"template": deployment["spec"]["template"]}


def without_variable(found: Documents) -> None:
    container(found)["env"].insert(0, {"name": "URI", "value": "postgresql://$(PASSWORD)@x"})


def run_as_root(found: Documents) -> None:
    pod(found)["securityContext"]["runAsUser"] = 0


BROKEN: list[tuple[str, Callable[[Documents], object]]] = [
    (
        "Deployment mlflow: its selector {'app': 'other'} does not meet its own pods",
        lambda d: of(d, "Deployment")["spec"]["selector"].update(matchLabels={"app": "other"}),
    ),
    (
        "Service mlflow: its selector {'app': 'other'} meets no pod",
        lambda d: of(d, "Service")["spec"].update(selector={"app": "other"}),
    ),
    (
        "Service mlflow: its selector {} meets no pod",
        lambda d: of(d, "Service")["spec"].pop("selector"),
    ),
    (
        "Service mlflow: no container of its pods has the port web",
        lambda d: of(d, "Service")["spec"]["ports"][0].update(targetPort="web"),
    ),
    (
        "Service mlflow: HTTP is no name of a port",
        lambda d: of(d, "Service")["spec"]["ports"][0].update(name="HTTP"),
    ),
    (
        "Service mlflow: kind does not map the node port 31000",
        lambda d: of(d, "Service")["spec"]["ports"][0].update(nodePort=31000),
    ),
    (
        "Service trefoil-ui: another Service has the node port 30500 too",
        lambda d: of(d, "Service", "trefoil-ui")["spec"]["ports"][0].update(nodePort=30500),
    ),
    (
        "Service mlflow: kind has no load balancer; make it a NodePort",
        lambda d: of(d, "Service")["spec"].update(type="LoadBalancer"),
    ),
    (
        "NetworkPolicy mlflow: its selector {'app': 'other'} meets no pod",
        lambda d: of(d, "NetworkPolicy")["spec"]["podSelector"].update(
            matchLabels={"app": "other"}
        ),
    ),
    (
        "Service 1-mlflow: its name is no DNS name",
        lambda d: of(d, "Service")["metadata"].update(name="1-mlflow"),
    ),
    (
        "Role trefoil_deploy: its name is no DNS name",
        lambda d: of(d, "Role", "trefoil-deploy")["metadata"].update(name="trefoil_deploy"),
    ),
    ("Service mlflow: is there twice", lambda d: d.append(of(d, "Service"))),
    (
        "Service mlflow: names no namespace",
        lambda d: of(d, "Service")["metadata"].pop("namespace"),
    ),
    (
        "RoleBinding trefoil-deploy: there is no ServiceAccount somebody",
        lambda d: of(d, "RoleBinding", "trefoil-deploy")["subjects"][0].update(name="somebody"),
    ),
    (
        "RoleBinding trefoil-deploy: there is no Role trefoil-all",
        lambda d: of(d, "RoleBinding", "trefoil-deploy")["roleRef"].update(name="trefoil-all"),
    ),
    (
        "Role trefoil-deploy: gives rights by *; name them",
        lambda d: of(d, "Role", "trefoil-deploy")["rules"][0].update(verbs=["*"]),
    ),
    (
        "ClusterRole trefoil-deploy: gives rights in the whole cluster; make it a Role",
        lambda d: of(d, "Role", "trefoil-deploy").update(kind="ClusterRole"),
    ),
    (
        "Secret s: holds a secret in clear; make it when the cluster is made",
        lambda d: d.append(
            {
                "kind": "Secret",
                "metadata": {"name": "s", "namespace": "kubeflow"},
                "stringData": {"password": "x"},
            }
        ),
    ),
    (
        "PersistentVolumeClaim mlflow: 10 GB is no quantity of storage",
        lambda d: of(d, "PersistentVolumeClaim")["spec"]["resources"]["requests"].update(
            storage="10 GB"
        ),
    ),
    (
        "Deployment mlflow: there is no PersistentVolumeClaim other",
        lambda d: pod(d)["volumes"][0]["persistentVolumeClaim"].update(claimName="other"),
    ),
    (
        "Deployment mlflow: mounts the volume cache, which is not among its volumes",
        lambda d: container(d)["volumeMounts"].append({"name": "cache", "mountPath": "/c"}),
    ),
    (
        "Deployment mlflow: no container mounts its volume cache",
        lambda d: pod(d)["volumes"].append({"name": "cache", "emptyDir": {}}),
    ),
    (
        "Deployment mlflow: the volume tmp is a folder of the node",
        lambda d: pod(d)["volumes"][1].update(hostPath={"path": "/"}),
    ),
    (
        "Deployment mlflow: there is no ServiceAccount boss",
        lambda d: pod(d).update(serviceAccountName="boss"),
    ),
    (
        "Deployment mlflow: its pods get a token they do not need; "
        "set automountServiceAccountToken: false",
        lambda d: pod(d).pop("automountServiceAccountToken"),
    ),
    (
        "Deployment mlflow: its pods share the node's network, processes or memory",
        lambda d: pod(d).update(hostNetwork=True),
    ),
    (
        "Deployment mlflow: there is no headless Service workers, so its pods have no names",
        lambda d: pod(d).update(subdomain="workers"),
    ),
    (
        "Deployment mlflow: a Deployment's restartPolicy is Always",
        lambda d: pod(d).update(restartPolicy="Never"),
    ),
    (
        "Deployment mlflow: Sometimes is no restartPolicy",
        lambda d: pod(d).update(restartPolicy="Sometimes"),
    ),
    ("Job mlflow: a Job's restartPolicy is OnFailure or Never", job),
    ("Job mlflow: says not how often it may fail; set backoffLimit", job),
    (
        "Deployment mlflow, container ML: its name is no DNS name",
        lambda d: container(d).update(name="ML"),
    ),
    (
        "Deployment mlflow, container mlflow: has no image",
        lambda d: container(d).pop("image"),
    ),
    (
        "Deployment mlflow, container mlflow: the image mlflow:latest has no tag of its own; "
        "what runs would change by itself",
        lambda d: container(d).update(image="mlflow:latest"),
    ),
    (
        "Deployment mlflow, container mlflow: the image localhost:5000/mlflow has no tag of its "
        "own; what runs would change by itself",
        lambda d: container(d).update(image="localhost:5000/mlflow"),
    ),
    (
        "Deployment mlflow, container mlflow: imagePullPolicy Always asks a registry for images "
        "that only the node has",
        lambda d: container(d).update(imagePullPolicy="Always"),
    ),
    (
        "Deployment mlflow, container mlflow: has no limit of memory",
        lambda d: container(d)["resources"]["limits"].pop("memory"),
    ),
    (
        "Deployment mlflow, container mlflow: 2GB is no quantity of memory",
        lambda d: container(d)["resources"]["limits"].update(memory="2GB"),
    ),
    (
        "Deployment mlflow, container mlflow: asks for more memory than its limit",
        lambda d: container(d)["resources"]["requests"].update(memory="2049Mi"),
    ),
    (
        "Deployment mlflow, container mlflow: has no readinessProbe",
        lambda d: container(d).pop("readinessProbe"),
    ),
    (
        "Deployment mlflow, container mlflow: its livenessProbe asks the port web, "
        "which it has not",
        lambda d: container(d)["livenessProbe"]["httpGet"].update(port="web"),
    ),
    (
        "Deployment mlflow, container mlflow: may run as root; set runAsNonRoot: true",
        run_as_root,
    ),
    (
        "Deployment mlflow, container mlflow: may gain privileges; "
        "set allowPrivilegeEscalation: false",
        lambda d: container(d)["securityContext"].pop("allowPrivilegeEscalation"),
    ),
    (
        "Deployment mlflow, container mlflow: keeps capabilities of the kernel; drop ALL",
        lambda d: container(d)["securityContext"].pop("capabilities"),
    ),
    (
        "Deployment mlflow, container mlflow: has no seccompProfile; set RuntimeDefault",
        lambda d: pod(d)["securityContext"].pop("seccompProfile"),
    ),
    (
        "Deployment mlflow, container mlflow: URI uses $(PASSWORD), which is not set before it",
        without_variable,
    ),
]


@pytest.mark.parametrize(("words", "breaking"), BROKEN, ids=[words for words, _ in BROKEN])
def test_a_broken_manifest_is_told(words: str, breaking: Callable[[Documents], object]) -> None:
    """Each of these passes the schemas, or is found on a cluster only after minutes of waiting."""
    found = documents("trefoil")
    breaking(found)
    assert words in problems(found, BESIDE)


def test_a_secret_that_nobody_makes_is_told() -> None:
    """Without it MLflow's pod would wait for ever in CreateContainerConfigError."""
    beside = BESIDE._replace(names=frozenset({"ServiceAccount/pipeline-runner"}))
    words = "comes from the Secret mlflow-postgres, which is not there"
    assert sum(words in each for each in problems(documents("postgres"), beside)) == 2


def test_the_workers_of_an_indexed_job_meet_through_a_headless_service() -> None:
    """The form of multi-node training: Kubernetes itself labels a Job's pods."""
    deployment = of(documents("trefoil"), "Deployment")
    template = deployment["spec"]["template"]
    template["spec"] |= {"restartPolicy": "Never", "subdomain": "train"}
    template["spec"]["volumes"][0] = {"name": "mlflow", "emptyDir": {}}
    meta = {"name": "train", "namespace": "kubeflow"}
    workers = {"kind": "Job", "metadata": meta, "spec": {"template": template, "backoffLimit": 0}}
    service = {
        "kind": "Service",
        "metadata": meta,
        "spec": {"clusterIP": "None", "selector": {"job-name": "train"}, "ports": [{"port": 5000}]},
    }
    assert problems([workers, service]) == []
    assert problems([workers]) == [
        "Job train: there is no headless Service train, so its pods have no names"
    ]


@pytest.mark.filterwarnings("ignore")  # of what MLflow imports
def test_mlflow_knows_its_options_and_answers_to_its_names() -> None:
    """An option it does not know would be a crash loop; a name it does not know, 403 for steps."""
    from mlflow.cli import server
    from mlflow.server.security_utils import is_allowed_host_header

    args = container(documents("trefoil"))["args"]
    chosen = server.make_context("mlflow server", list(args)).params
    assert (chosen["host"], chosen["port"]) == ("0.0.0.0", 5000)  # noqa: S104  in its own pod
    hosts = chosen["allowed_hosts"].split(",")
    assert is_allowed_host_header(hosts, MLFLOW_URI.removeprefix("http://"))
    assert is_allowed_host_header(hosts, "127.0.0.1:5001")
    assert not is_allowed_host_header(hosts, "evil.example:5000")
