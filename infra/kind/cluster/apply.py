"""Manifests into the cluster: rendered by kustomize, held against the rules, applied by kubectl."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from infra.errors import ProviderError
from infra.kind.cluster import MLFLOW_NODE_PORT, NAMESPACE, UI_NODE_PORT, rules, tools

POSTGRES = "mlflow-postgres"
"""Name of Postgres' Deployment, Service and Secret."""
BESIDE = rules.Beside(
    names=frozenset({"ServiceAccount/pipeline-runner", f"Secret/{POSTGRES}"}),
    pods=({"app": "ml-pipeline-ui"},),
    node_ports=frozenset({UI_NODE_PORT, MLFLOW_NODE_PORT}),
)
"""What upstream and ``up`` itself make, to which our manifests refer."""


def render(folder: Path) -> list[dict[str, Any]]:
    """The documents of a kustomization, by kubectl's own kustomize. Raises ToolFailed."""
    import yaml

    text = tools.run("kubectl", "kustomize", str(folder), timeout=60)
    return [document for document in yaml.load_all(text, yaml.CSafeLoader) if document]


def with_image(documents: Iterable[dict[str, Any]], image: str) -> list[dict[str, Any]]:
    """The documents with another image for MLflow; "" leaves the one they name."""
    changed = list(documents)
    for document in changed:
        if image and document["kind"] == "Deployment" and document["metadata"]["name"] == "mlflow":
            document["spec"]["template"]["spec"]["containers"][0]["image"] = image
    return changed


def apply(documents: list[dict[str, Any]]) -> list[str]:
    """Apply documents of ours; what of them changed. Raises ProviderError, ToolFailed.

    Nothing is sent where one breaks a rule.
    """
    if found := rules.problems(documents, BESIDE):
        raise ProviderError(f"the manifests break rules, nothing was applied: {'; '.join(found)}")
    text = "\n---\n".join(json.dumps(document) for document in documents)  # JSON is YAML
    return changed(tools.kubectl("apply", "-f", "-", timeout=120, text=text))


def apply_upstream(folder: Path) -> list[str]:
    """Apply a kustomization that kubectl may have to fetch; what of it changed."""
    return changed(tools.kubectl("apply", "-k", str(folder), timeout=600))


def changed(printed: str) -> list[str]:
    """The objects that kubectl's lines call created or configured."""
    lines = [line.split() for line in printed.splitlines() if line.strip()]
    return [words[0] for words in lines if words[-1] != "unchanged"]


def make_secret() -> bool:
    """Make Postgres' password, unless there is one; whether it was made.

    It goes from memory to the cluster through a pipe: it is in no file, argument or log.
    """
    if tools.kubectl(
        "get", "secret", POSTGRES, "-n", NAMESPACE, "-o", "name", "--ignore-not-found"
    ):
        return False
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": POSTGRES, "namespace": NAMESPACE},
        "stringData": {"password": secrets.token_urlsafe(32)},
    }
    tools.kubectl("create", "-f", "-", text=json.dumps(secret))
    return True
