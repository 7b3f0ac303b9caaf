"""``cluster up``: checks, then what is missing, in order; a second time changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from infra.errors import InputError, ProviderError
from infra.images.record import Built
from infra.kind.cluster import (
    MANIFESTS,
    NAME,
    NAMESPACE,
    NEEDED,
    PIPELINES,
    Options,
    apply,
    gpu,
    images,
    tools,
    waiting,
)
from infra.kind.cluster import node as nodes
from infra.kind.cluster.checks import Check, checks
from infra.kind.cluster.node import Node
from infra.kind.cluster.tools import Say

_MARK = "trefoil/pipelines"
"""Annotation of the namespace: the release that was applied whole."""
_CRD = "customresourcedefinition/applications.app.k8s.io"
"""The last of upstream's kinds that its own objects need."""


class Made(NamedTuple):
    """What ``up`` left: the node, what it changed to get there, and the images it found built."""

    node: Node
    changes: list[str]
    images: list[Built]


def up(options: Options, workspace: Path, say: Say, check: Callable[[Check], None]) -> Made:
    """Bring the cluster up, or to what it should be. Raises TrefoilError.

    ``say`` takes lines of progress, ``check`` each thing that was looked at before.
    """
    _require_fit(options, check)
    built = images.built(workspace)
    found = nodes.find()
    changes = []
    if found:
        nodes.require_same(found, options)
        changes += ["the node was started"] if nodes.wake(found, say) else []
    else:
        found = nodes.create(options, say)
        changes.append(f"the cluster {NAME} was made")
    changes += ["the kernel's limits were raised"] if nodes.raise_limits(say) else []
    changes += gpu.enable(say) if options.gpu else []
    changes += _pipelines(options, say)
    changes += _ours(options, say)
    changes += images.load(built, say)
    postgres = [apply.POSTGRES] if apply.POSTGRES in _deployments() else []
    waiting.wait([*NEEDED, *postgres, "mlflow"], options.minutes, say)
    return Made(found, changes, built)


def _require_fit(options: Options, check: Callable[[Check], None]) -> None:
    lacking = []
    for each in checks(options, _exists()):
        check(each)
        if each.needed and not each.well:
            lacking.append(each.name)
    if lacking:
        raise InputError(f"no cluster can be made here yet: see to {', '.join(lacking)}")


def _exists() -> bool:
    try:
        return nodes.find() is not None
    except ProviderError:  # no Docker: the checks say so
        return False


def _pipelines(options: Options, say: Say) -> list[str]:
    """Upstream: its kinds first, then what uses them. Left alone where it is there whole."""
    if not options.manifests and _applied() == PIPELINES and set(NEEDED) <= _deployments():
        say(f"✓ Kubeflow Pipelines {PIPELINES} is there")
        return []
    say(f"▶ applying Kubeflow Pipelines {PIPELINES}")
    ours = MANIFESTS / "pipelines"
    first, then = ours / "cluster-scoped", ours / "namespaced"
    if options.manifests:
        first = Path(options.manifests, "cluster-scoped-resources")
        then = Path(options.manifests, "env", "platform-agnostic")
    changes = apply.apply_upstream(first)
    tools.kubectl("wait", "--for=condition=established", _CRD, "--timeout=60s", timeout=90)
    changes += apply.apply_upstream(then)
    tools.kubectl("annotate", "--overwrite", "namespace", NAMESPACE, f"{_MARK}={PIPELINES}")
    say(f"✓ Kubeflow Pipelines: {len(changes)} objects changed")
    return changes


def _ours(options: Options, say: Say) -> list[str]:
    """MLflow and what leads to it; a Postgres that is there stays."""
    there = _deployments()
    if options.postgres and "mlflow" in there and apply.POSTGRES not in there:
        raise InputError(
            "MLflow keeps its runs in SQLite in this cluster, and they would be out of sight in "
            "Postgres: leave --postgres out, or begin anew with python -m pipelines cluster down"
        )
    postgres = options.postgres or apply.POSTGRES in there
    changes = [f"secret/{apply.POSTGRES}"] if postgres and apply.make_secret() else []
    documents = apply.render(MANIFESTS / ("postgres" if postgres else "trefoil"))
    changes += apply.apply(apply.with_image(documents, options.mlflow_image))
    say(f"✓ MLflow and its addresses: {len(changes)} objects changed")
    return changes


def _applied() -> str:
    found = tools.kubectl("get", "namespace", NAMESPACE, "-o", "json", "--ignore-not-found")
    notes = json.loads(found)["metadata"].get("annotations") or {} if found else {}
    return str(notes.get(_MARK, ""))


def _deployments() -> set[str]:
    found = tools.kubectl("get", "deployments", "-n", NAMESPACE, "-o", "json")
    return {each["metadata"]["name"] for each in json.loads(found)["items"]}
