"""A CustomJob, and a task of a PipelineJob, as they stand."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from infra.cloud.looking import Task
from infra.errors import InputError
from infra.gcp import errors
from infra.gcp.jobs import RESOURCES
from infra.gcp.names import RUN, STEP, label
from infra.gcp.session import Found, Gcp, required
from infra.plan import FINAL, Plan, State, Step

OF_JOB: Mapping[str, State] = {
    "JOB_STATE_SUCCEEDED": "succeeded", "JOB_STATE_FAILED": "failed",
    "JOB_STATE_EXPIRED": "failed", "JOB_STATE_CANCELLED": "cancelled",
    "JOB_STATE_PARTIALLY_SUCCEEDED": "failed",
}  # fmt: skip
"""States of a job that has ended; in any other it goes on."""
_OF_TASK: Mapping[str, State] = {
    "PENDING": "waiting", "RUNNING": "running", "SUCCEEDED": "succeeded", "SKIPPED": "cached",
    "CANCEL_PENDING": "running", "CANCELLING": "running", "CANCELLED": "cancelled",
    "FAILED": "failed", "NOT_TRIGGERED": "skipped",
}  # fmt: skip
_DOING = {
    "JOB_STATE_QUEUED": "waits for a machine", "JOB_STATE_PENDING": "waits for a machine",
    "JOB_STATE_CANCELLING": "is being ended",
}  # fmt: skip
_CONDITION = "its condition does not hold"
_BAD_INPUT = 2


def job_task(found: Found, step: str) -> Task:
    """A CustomJob as the task of a step."""
    told = found.get("state", "")
    state = OF_JOB.get(told, "running")
    began, ended = moment(found, "startTime", "createTime"), moment(found, "endTime")
    words, code, error = _DOING.get(told, ""), 0, ""
    if state == "failed":
        words, code, error = failure(found.get("error", {}), step)
    return Task(
        state, began, ended if state in FINAL else 0.0, "CustomJob",
        _last(required(found, "name", f"the job of {step}")),
        words=words, code=code, error=error,
    )  # fmt: skip


def of_run(gcp: Gcp, run_id: str, step: str = "") -> Iterator[Found]:
    """The CustomJobs that have a run's label, and a step's, oldest first."""
    terms = [f'labels.{RUN}="{label(run_id)}"']
    if step:
        terms.append(f'labels.{STEP}="{label(step)}"')
    listed = gcp.pages(
        "customJobs.list", "customJobs", "list the jobs", parent=gcp.parent,
        filter=" AND ".join(terms),
    )  # fmt: skip
    yield from sorted(listed, key=lambda each: (each.get("createTime", ""), each.get("name", "")))


class Details:
    """The tasks of a PipelineJob, each found by where it stands in the pipeline."""

    def __init__(self, found: Found, plan: Plan) -> None:
        told = found.get("jobDetail", {}).get("taskDetails", [])
        self._known = {required(each, "taskId", "a task"): each for each in told}
        self._root = {step.task[0] for step in plan.steps if step.task}
        paths: dict[tuple[str, ...], list[tuple[tuple[int, ...], Found]]] = {}
        for each in told:
            path, at = self._path(each)
            paths.setdefault(path, []).append((at, each))
        self._tasks: dict[str, Found] = {}
        for step in plan.steps:
            same = [each.name for each in plan.steps if each.task == step.task]
            there = [each for _, each in sorted(paths.get(step.task, ()), key=_order)]
            by_number = {at[-1]: each for at, each in paths.get(step.task, ()) if at}
            number = same.index(step.name)
            if len(same) == 1 and there:
                self._tasks[step.name] = there[-1]
            elif number in by_number:
                self._tasks[step.name] = by_number[number]

    def task(self, step: Step) -> Found | None:
        """What is told of a step; None where it was not come to."""
        return self._tasks.get(step.name)

    def _path(self, task: Found) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """The names from the root of the pipeline down to a task, and which iterations it is of."""
        names: list[str] = []
        at: list[int] = []
        here: Found | None = task
        while here is not None:
            names.insert(0, required(here, "taskName", "a task"))
            here = self._known.get(here.get("parentTaskId", ""))
        if names and names[0] not in self._root:  # the whole pipeline has a task, too
            names = names[1:]
        plain: list[str] = []
        for name in names:
            iteration = re.fullmatch(rf"{re.escape(plain[-1])}-(\d+)", name) if plain else None
            if iteration and name != names[-1]:
                at.append(int(iteration[1]))
            else:
                plain.append(name)
        return tuple(plain), tuple(at)


def pipeline_task(told: Found, step: Step, kept: Task | None) -> Task:
    """A task of a PipelineJob as the task of a step; ``kept`` is its CustomJob, if it has one."""
    state = _OF_TASK.get(told.get("state", ""), "running")
    began, ended = moment(told, "startTime", "createTime"), moment(told, "endTime")
    detail = told.get("executorDetail", {}).get("containerDetail", {})
    before = [_last(each) for each in detail.get("failedMainJobs", ())]
    job = " ".join([*before, _last(detail["mainJob"])]) if detail.get("mainJob") else ""
    words, code, error = "", 0, ""
    if state == "skipped":
        words = _CONDITION
    elif state == "failed":
        words, code, error = failure(told.get("error", {}), step.name)
    found = Task(
        state, began, ended if state in FINAL else 0.0, "task", job, _left(told, step), words, code,
        1 + len(before), error,
    )  # fmt: skip
    if kept is None:
        return found
    found = found._replace(kind=kept.kind, job=kept.job)
    if state == "running":
        return found._replace(words=kept.words)
    if state != "failed" or not kept.words:
        return found
    return found._replace(words=kept.words, code=kept.code, error=kept.error)


def failure(status: Mapping[str, Any], step: str) -> tuple[str, int, str]:
    """Why a step failed, the exit code of the command that followed the run, the error's name."""
    error = errors.ended(status, step)
    bad = isinstance(error, InputError) or errors.exit_code(status) == _BAD_INPUT
    return str(error), _BAD_INPUT if bad else 1, type(error).__name__


def moment(found: Mapping[str, Any], *names: str) -> float:
    """The first time there is of those names, as seconds since the epoch; 0 where there is none."""
    for name in names:
        if text := found.get(name):
            at = datetime.datetime.fromisoformat(str(text).replace("Z", "+00:00"))
            return round(at.timestamp(), 3)
    return 0.0


def _left(told: Found, step: Step) -> str:
    """Values and where artefacts lie, as JSON: Vertex AI puts each under an address of its own."""
    metadata = told.get("execution", {}).get("metadata", {})
    values = {
        name.removeprefix("output:"): value
        for name, value in metadata.items()
        if name.startswith("output:") and name != f"output:{RESOURCES}"
    }
    artifacts = {
        name: str(listed["artifacts"][0].get("uri", ""))
        for name, listed in told.get("outputs", {}).items()
        if name in step.artifacts and listed.get("artifacts")
    }
    return json.dumps({"values": values, "artifacts": artifacts}) if values or artifacts else ""


def _last(name: str) -> str:
    return name.rpartition("/")[2]


def _order(pair: tuple[tuple[int, ...], Found]) -> tuple[tuple[int, ...], str]:
    return pair[0], str(pair[1].get("createTime", ""))
