"""Where a run stands, from what run history tells of its jobs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from infra.azure import errors
from infra.azure import logs as log
from infra.azure.jobs import STEP
from infra.azure.session import Azure, required
from infra.cloud.looking import Look, Task, concluded, not_reached, unknown, with_last_lines
from infra.cloud.records import Attempt
from infra.cloud.stepfile import VALUES
from infra.cloud.store import Store
from infra.errors import InputError
from infra.plan import FINAL, Plan, State

_STATES: Mapping[str, State] = {
    "Completed": "succeeded", "Failed": "failed", "Canceled": "cancelled",
}  # fmt: skip
_WAITS = ("NotStarted", "Queued", "Starting", "Provisioning", "Preparing")
_BAD_INPUT = 2


class Looker:
    """Looks at one attempt again and again; of a step that has ended it asks once."""

    def __init__(self, azure: Azure, store: Store, attempt: Attempt) -> None:
        self._azure, self._store, self._attempt = azure, store, attempt
        self.plan: Plan = attempt.plan
        self._ended: dict[str, Task] = {}

    def look(self) -> Look:
        """Ask how it stands."""
        main = self._main()
        if main.main not in FINAL:
            return main
        after = self._attempt.request["after"]
        jobs = {name: self._azure.run(asked["name"]) for name, asked in after.items()}
        handlers = {name: self._task(name, job) for name, job in jobs.items() if job}
        return concluded(main._replace(tasks={**main.tasks, **handlers}), after)

    def _main(self) -> Look:
        """All but the exit handlers."""
        request = self._attempt.request
        done = {name: Task(**task) for name, task in request["done"].items()}
        if not request["main"]:  # an attempt at the exit handlers alone
            began = min((task.began for task in done.values()), default=0.0)
            ended = max((task.ended for task in done.values()), default=0.0)
            return Look("succeeded", "succeeded", done, began, ended)
        found = self._azure.run(request["main"])
        if found is None:
            return unknown(self._attempt.started, "Azure ML")
        if not request["pipeline"]:
            step = next(each.name for each in self.plan.steps if not each.always)
            task = self._task(step, found)
            return Look(task.state, task.state, {step: task}, task.began, task.ended)
        state = _STATES.get(required(found, "status", of="the run"), "running")
        tasks = self._tasks(state, done)
        failed = any(task.state == "failed" for task in tasks.values())
        if state in FINAL and failed:  # Azure may call a pipeline whole of which a branch failed
            state = "failed"
        began, ended = moment(found, "startTimeUtc", "createdUtc"), moment(found, "endTimeUtc")
        words = "" if failed or state != "failed" else _why(found, "the pipeline")
        return Look(state, state, tasks, began, ended, words, 0, request["main"])

    def _tasks(self, state: State, done: Mapping[str, Task]) -> dict[str, Task]:
        """The steps that were come to; of a run that has ended every step of the plan."""
        listed = self._azure.children(self._attempt.request["main"])
        jobs = {_step_of(each): each for each in listed}
        found: dict[str, Task] = {}
        for step in self.plan.steps:
            if step.always:
                continue
            if step.name in done:
                found[step.name] = done[step.name]
            elif step.name in jobs:
                found[step.name] = self._task(step.name, jobs[step.name])
            elif state in FINAL:
                found[step.name] = not_reached(step, found, state)
        return found

    def _task(self, step: str, job: Mapping[str, Any]) -> Task:
        """The job of a step, as run history tells it."""
        if step in self._ended:
            return self._ended[step]
        status = required(job, "status", of=f"the job of {step}")
        state = _STATES.get(status, "running")
        task = Task(
            state, moment(job, "startTimeUtc", "createdUtc"), moment(job, "endTimeUtc"), "job",
            job.get("runId", ""), self._attempt.request["left"].get(step, ""),
        )  # fmt: skip
        if state == "running":
            return task._replace(words=_doing(status, job))
        self._ended[step] = self._over(step, task, job)
        return self._ended[step]

    def _over(self, step: str, task: Task, job: Mapping[str, Any]) -> Task:
        """A task that has ended, with why."""
        if task.state == "succeeded":
            words = self._skipped(task)
            return task._replace(state="skipped", words=words) if words else task
        if task.state == "cancelled":
            limit = self._attempt.request["limits"].get(step, 0)
            if 0 < limit <= task.ended - task.began:
                words = f"{step} did not end within {limit} s, its timeout; it was stopped"
                return task._replace(state="failed", words=words, code=1)
            return task
        error = errors.ended(job.get("error") or {}, step)
        code = errors.exit_code(_message(job))
        bad = code == _BAD_INPUT or (code is None and isinstance(error, InputError))
        last = () if code is None else log.tail(self._azure, step, task)
        words = with_last_lines(str(error), last)
        code = _BAD_INPUT if bad else 1
        return task._replace(words=words, code=code, error=type(error).__name__)

    def _skipped(self, task: Task) -> str:
        """Why a step did not run, as its launcher has put it down; empty where it ran."""
        place = task.left.rstrip("/").removeprefix(self._store.uri(""))
        found = json.loads(self._store.get(f"{place}/{VALUES}/skipped.json") or b'""')
        return str(found)


def moment(job: Mapping[str, Any], *names: str) -> float:
    """The first time there is of those names, as seconds since the epoch; 0 where there is none."""
    for name in names:
        if text := job.get(name):
            return round(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp(), 3)
    return 0.0


def _step_of(job: Mapping[str, Any]) -> str:
    return str((job.get("tags") or {}).get(STEP) or job.get("displayName") or "")


def _doing(status: str, job: Mapping[str, Any]) -> str:
    """What a job that goes on does just now, where that is news."""
    if status in _WAITS and job.get("startTimeUtc"):
        return "its spot machine was taken away; it goes on from its checkpoint on another"
    return {
        "Queued": "waits for a machine", "Provisioning": "waits for a machine",
        "Paused": "is paused", "NotResponding": "its machine does not answer",
        "CancelRequested": "is being cancelled",
    }.get(status, "")  # fmt: skip


def _message(job: Mapping[str, Any]) -> str:
    return str(((job.get("error") or {}).get("error") or {}).get("message") or "")


def _why(job: Mapping[str, Any], what: str) -> str:
    return str(errors.ended(job.get("error") or {}, what))
