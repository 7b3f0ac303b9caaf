"""Where the steps of a plan stand, from what KFP tells of its tasks.

Two sources are laid over each other. The metadata store knows each task by its place in the
pipeline, and what it left. The API knows Argo's nodes, also of a pod that died before it could
tell the store, and how often one was tried. See ``argo`` for how a node is told to be a step's.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from infra.kind import argo
from infra.kind.argo import Path
from infra.kind.metadata import Execution
from infra.plan import FINAL, Event, Json, Plan, State, Step

_OF_RUN: Mapping[str, State] = {
    "SUCCEEDED": "succeeded", "FAILED": "failed", "CANCELED": "cancelled", "SKIPPED": "skipped",
    "RUNNING": "running", "CANCELING": "running", "PAUSED": "running",
}  # fmt: skip
_OF_EXECUTION: Mapping[str, State] = {
    "COMPLETE": "succeeded", "CACHED": "cached", "FAILED": "failed", "CANCELED": "skipped",
}  # fmt: skip
_CONDITION = "its condition does not hold"
_NO_TIME = 1.0
"""Seconds since the epoch up to which a time is none: Go's zero is in the year 1."""


class Task(NamedTuple):
    """What became of a step. ``began`` and ``ended`` are seconds since the epoch, 0 for not yet.

    ``pod`` runs it, or is to run it: ``launched`` tells which. ``failures`` are the pods of the
    attempts before. ``execution`` is its number in the metadata store.
    """

    state: State
    began: float = 0.0
    ended: float = 0.0
    pod: str = ""
    launched: bool = False
    failures: tuple[str, ...] = ()
    execution: int = 0
    values: Mapping[str, Json] = {}
    reason: str = ""

    def event(self, step: str) -> Event:
        """As the event of entering its state."""
        took = max(0.0, self.ended - self.began) if self.state in FINAL and self.began else 0.0
        return Event(step, self.state, took, self.reason, attempt=len(self.failures) + 1)


def run_state(run: Mapping[str, Any]) -> State:
    """The state of a whole run."""
    return _OF_RUN.get(run.get("state", ""), "waiting")


def tasks(plan: Plan, run: Mapping[str, Any], executions: Iterable[Execution]) -> dict[str, Task]:
    """The steps that KFP has come to, by name; of an ended run every step."""
    spec = plan.source["pipeline"]
    nodes = _Nodes((run.get("run_details") or {}).get("task_details") or ())
    known = _by_path(executions)
    ending = run.get("state") in ("CANCELING", "CANCELED")
    found: dict[str, Task] = {}
    for step in plan.steps:
        path = argo.path_of(step, spec)
        task = nodes.task(step, spec)
        if task and ending and task.state == "failed":  # so Argo calls what it was told to end
            task = task._replace(state="waiting")
        if execution := known.get(path):
            task = _told(execution, task)
        elif any(
            above.state == "CANCELED" for at in range(len(path)) if (above := known.get(path[:at]))
        ):
            task = Task("skipped", reason=_CONDITION)
        if task:
            found[step.name] = task
    ended = run_state(run)
    return _concluded(plan, found, ended) if ended in FINAL else found


def seconds(text: str | None) -> float:
    """A time of KFP's as seconds since the epoch; 0 where it is none."""
    if not text:
        return 0.0
    try:
        found = datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return 0.0
    return found if found > _NO_TIME else 0.0


def _told(execution: Execution, node: Task | None) -> Task:
    """What the store says of a step, and the API beside it."""
    node = node or Task("waiting")
    state = _OF_EXECUTION.get(execution.state)
    if state is None:
        state = "running" if execution.pod else "waiting"
        if node.state == "failed":
            state = "failed"
    return node._replace(
        state=state,
        reason=_CONDITION if state == "skipped" else "",
        began=execution.began,
        ended=execution.changed if state in FINAL else 0.0,
        pod=execution.pod or node.pod,
        launched=bool(execution.pod),
        execution=execution.id,
        values=execution.values,
    )


def _by_path(executions: Iterable[Execution]) -> dict[Path, Execution]:
    known = {each.id: each for each in executions}

    def path(each: Execution) -> Path:
        above = known.get(each.parent)
        if above is None:
            return ()
        if each.iteration is not None:  # its loop, of the same name, stands between
            return (*path(above), each.iteration)
        return (*path(above), each.task)

    return {path(each): each for each in known.values()}


class _Nodes:
    """The task details of a run: Argo's nodes, those that can be told apart."""

    def __init__(self, details: Iterable[Mapping[str, Any]]) -> None:
        self._details = list(details)
        children = [
            child["pod_name"]
            for detail in self._details
            for child in detail.get("child_tasks") or ()
            if "pod_name" in child
        ]
        self._workflow = children[0].rpartition("-")[0] if children else ""

    def task(self, step: Step, spec: Mapping[str, Any]) -> Task | None:
        if not self._workflow:
            return None
        node = argo.node_name(step, spec, self._workflow)
        executor = argo.executor_name(node)
        detail = self._parent_of(argo.node_id(executor, self._workflow))
        if detail is None:
            return None
        failures = self._failures(node, step)
        tried = argo.executor_name(node, len(failures)) if step.retry.limit else executor
        state = detail.get("state")
        return Task(
            "failed" if state == "FAILED" else "succeeded" if state == "SUCCEEDED" else "waiting",
            began=seconds(detail.get("start_time")),
            ended=seconds(detail.get("end_time")),
            pod=argo.pod_name(tried, self._workflow, step),
            failures=failures,
        )

    def _parent_of(self, node_id: str) -> Mapping[str, Any] | None:
        for detail in self._details:
            children = detail.get("child_tasks") or ()
            if any(child.get("pod_name") == node_id for child in children):
                return detail
        return None

    def _failures(self, node: str, step: Step) -> tuple[str, ...]:
        """The pods of a step's attempts that failed, those that another followed."""
        pods = {
            pod
            for detail in self._details
            for pod in (detail.get("executor_detail") or {}).get("failed_main_jobs") or ()
        }
        tries = range(step.retry.limit + 1)
        names = (argo.executor_name(node, attempt) for attempt in tries)
        failed = tuple(
            pod for name in names if (pod := argo.pod_name(name, self._workflow, step)) in pods
        )
        return failed[: step.retry.limit]


def _concluded(plan: Plan, found: dict[str, Task], ended: State) -> dict[str, Task]:
    """Every step of a run that has ended: what was not come to, or not told to its end."""
    whole: dict[str, Task] = {}
    for step in plan.steps:
        task = found.get(step.name)
        if task is None or task.state not in FINAL:
            task = _cut_off(step, task, whole, ended)
        whole[step.name] = task
    return whole


def _cut_off(step: Step, task: Task | None, before: Mapping[str, Task], ended: State) -> Task:
    if ended == "cancelled":
        reason = "ended on request" if task and task.launched else "not started"
        return (task or Task("waiting"))._replace(state="cancelled", reason=reason)
    if task and task.launched and ended == "failed":  # its pod died before it could say so
        return task._replace(state="failed")
    for name in step.needs():
        if name in before and before[name].state in ("failed", "cancelled", "skipped"):
            left_out = before[name].reason == _CONDITION
            reason = f"it takes an output of {name}, which did not run"
            return Task("skipped", reason=reason if left_out else f"{name} did not succeed")
    return Task("skipped", reason="" if ended == "failed" else _CONDITION)
