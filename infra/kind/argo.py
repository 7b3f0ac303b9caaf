"""What Kubeflow Pipelines calls a step once it runs: its node in Argo's workflow, and its pods.

KFP's API tells of nodes without saying whose they are, but Argo makes an ID of each node's name,
and KFP's compiler the name of the task's place in the pipeline. Read in kubeflow/pipelines 2.17,
backend/src/v2/compiler/argocompiler, and argo-workflows 4.0, workflow/util/pod_name.go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from infra.plan import Step

Path: TypeAlias = tuple[str | int, ...]
"""Task names from the root down to a step; behind a loop stands which iteration, from 0."""

_EXECUTOR = "executor"


def path_of(step: Step, spec: Mapping[str, Any]) -> Path:
    """Where a step is in the pipeline of ``spec``; an iteration's number ends the step's name."""
    tasks = list(_tasks(step, spec))
    loops = [
        at
        for at, task in enumerate(tasks)
        if "parameterIterator" in task or "artifactIterator" in task
    ]
    numbers = iter(step.name.split("-")[-len(loops) :] if loops else ())
    path: list[str | int] = []
    for at, name in enumerate(step.task):
        path += [name, int(next(numbers)) - 1] if at in loops else [name]
    return tuple(path)


def node_name(step: Step, spec: Mapping[str, Any], workflow: str) -> str:
    """The name of a step's node; that of its executor is below it."""
    parts = [workflow, "root"]
    tasks = list(_tasks(step, spec))
    for part in path_of(step, spec):
        parts += [part] if isinstance(part, str) else [_iteration(part), "iteration-item"]
    before = tasks[-1].get("dependentTasks")
    if step.always and before:  # an exit task hangs on what it follows
        parts[-1:] = [before[0], "onExit", parts[-1]]
    return ".".join(parts)


def executor_name(node: str, attempt: int | None = None) -> str:
    """The name of the node that runs the container; with ``attempt``, from 0, one try of it."""
    return f"{node}.{_EXECUTOR}" + ("" if attempt is None else f"({attempt})")


def node_id(name: str, workflow: str) -> str:
    """A node's ID: the workflow's name and the FNV-1a of its own."""
    return f"{workflow}-{_fnv(name)}"


def pod_name(name: str, workflow: str, step: Step) -> str:
    """The name of the pod of an executor's node."""
    template = "system-container-impl"
    kubernetes = step.platforms.get("kubernetes")
    metadata = kubernetes.get("podMetadata") if isinstance(kubernetes, dict) else None
    if step.retry.limit:
        template = f"retry-{template}"
    if isinstance(metadata, dict):
        counts = [len(metadata.get(kind) or {}) for kind in ("annotations", "labels")]  # type: ignore[arg-type]
        template = f"metadata-{counts[0]}-{counts[1]}-{template}"
    return f"{workflow}-{template}-{_fnv(name)}"


def _tasks(step: Step, spec: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    component: Mapping[str, Any] = spec["root"]
    for name in step.task:
        task = component["dag"]["tasks"][name]
        yield task
        component = spec["components"][task["componentRef"]["name"]]


def _iteration(index: int) -> str:
    return f"iteration-iterations({index}:{index})"


def _fnv(text: str) -> int:
    found = 2166136261
    for byte in text.encode():
        found = (found ^ byte) * 16777619 % 2**32
    return found
