"""Where a run stands, from what Vertex AI tells of its pipeline, its tasks and its jobs."""

from __future__ import annotations

from collections.abc import Mapping

from infra.cloud.looking import Look, Task, not_reached, unknown
from infra.cloud.records import Attempt
from infra.gcp.described import Details, job_task, moment, of_run, pipeline_task
from infra.gcp.session import Found, Gcp
from infra.plan import FINAL, Plan, State, Step

_OF_PIPELINE: Mapping[str, State] = {
    "PIPELINE_STATE_SUCCEEDED": "succeeded", "PIPELINE_STATE_FAILED": "failed",
    "PIPELINE_STATE_CANCELLED": "cancelled",
}  # fmt: skip


class Looker:
    """Looks at one attempt again and again."""

    def __init__(self, gcp: Gcp, attempt: Attempt) -> None:
        self._gcp, self._attempt = gcp, attempt
        self.plan: Plan = attempt.plan

    def look(self) -> Look:
        """Ask how it stands."""
        if "job" in self._attempt.request:
            return self._job()
        return self._pipeline()

    def _job(self) -> Look:
        """A run that is one CustomJob."""
        found = job_of(self._gcp, self._attempt)
        if found is None:
            return unknown(self._attempt.started, "Vertex AI")
        step = self.plan.steps[0].name
        task = job_task(found, step)
        words = "ended on request" if task.state == "cancelled" else task.words
        state = task.state if task.state in FINAL else "running"
        return Look(
            state, state, {step: task}, task.began, task.ended,
            words if state in FINAL else "", task.code, found.get("name", ""), task.error,
        )  # fmt: skip

    def _pipeline(self) -> Look:
        name = pipeline_name(self._gcp, self._attempt)
        found = self._gcp.find("pipelineJobs.get", "tell of the run", name=name)
        if found is None:
            return unknown(self._attempt.started, "Vertex AI")
        state = _OF_PIPELINE.get(found.get("state", ""), "running")
        tasks = self._tasks(found, state)
        failed = next((task for task in tasks.values() if task.state == "failed"), None)
        words, code = "", 0
        if state == "failed":
            words = failed.words if failed else str(found.get("error", {}).get("message", ""))
            code = failed.code if failed else 1
        elif state == "cancelled":
            words = "ended on request"
        began, ended = moment(found, "startTime", "createTime"), moment(found, "endTime")
        error = failed.error if failed else ""
        over = ended if state in FINAL else 0.0
        return Look(state, state, tasks, began, over, words, code or 0, name, error)

    def _tasks(self, found: Found, state: State) -> dict[str, Task]:
        """The steps that were come to; of a run that has ended every step of the plan."""
        details = Details(found, self.plan)
        custom = self._attempt.request.get("custom", ())
        tasks: dict[str, Task] = {}
        for step in self.plan.steps:
            told = details.task(step)
            if told is not None:
                kept = self._kept(step, told) if step.name in custom else None
                tasks[step.name] = self._reached(step, pipeline_task(told, step, kept), tasks)
            elif state in FINAL:
                tasks[step.name] = not_reached(step, tasks, state)
        return tasks

    def _reached(self, step: Step, task: Task, before: Mapping[str, Task]) -> Task:
        """Of a step that was not triggered, whether that was its condition's doing."""
        if task.state != "skipped" or (step.when and _all_well(step, before)):
            return task
        return not_reached(step, before, "failed")

    def _kept(self, step: Step, told: Found) -> Task | None:
        """The CustomJob that a step became, once there is one since its task began."""
        found = list(of_run(self._gcp, self._attempt.run_id, step.name))
        since = moment(told, "createTime")
        newer = [each for each in found if moment(each, "createTime") >= since - 1.0]
        return job_task(newer[-1], step.name) if newer else None


def pipeline_name(gcp: Gcp, attempt: Attempt) -> str:
    """The full name of an attempt's PipelineJob."""
    return f"{gcp.parent}/pipelineJobs/{attempt.request['pipeline']}"


def job_of(gcp: Gcp, attempt: Attempt) -> Found | None:
    """The CustomJob of an attempt; None where there is none, or it is not listed yet."""
    if name := attempt.started.get("job"):
        return gcp.find("customJobs.get", "tell of the job", name=name)
    return next(iter(jobs_of(gcp, attempt)), None)


def jobs_of(gcp: Gcp, attempt: Attempt) -> list[Found]:
    """The CustomJobs that are listed of an attempt, the first one first."""
    wanted = attempt.request["job"]["displayName"]
    return [each for each in of_run(gcp, attempt.run_id) if each.get("displayName") == wanted]


def _all_well(step: Step, before: Mapping[str, Task]) -> bool:
    return all(
        before[name].state in ("succeeded", "cached") for name in step.needs() if name in before
    )
