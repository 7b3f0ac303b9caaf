"""Where a run stands, from what SageMaker tells of its execution, its steps and its jobs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from infra.aws import errors
from infra.aws.described import Job, describe, kind_of, moment
from infra.aws.names import execution
from infra.aws.session import Aws, Found
from infra.cloud.looking import BROKEN, Look, Task, concluded, not_reached, unknown
from infra.cloud.records import Attempt
from infra.plan import FINAL, Plan, State, Step

_OF_EXECUTION: Mapping[str, State] = {
    "Executing": "running", "Stopping": "running", "Succeeded": "succeeded", "Failed": "failed",
    "Stopped": "cancelled", "CompletedWithFailures": "failed",
}  # fmt: skip
_OF_STEP: Mapping[str, State] = {
    "Starting": "running", "Executing": "running", "Stopping": "running",
    "Succeeded": "succeeded", "Failed": "failed", "Stopped": "cancelled",
}  # fmt: skip
_KINDS = ("Training", "Processing")


class Looker:
    """Looks at one attempt again and again; of a job that has ended it asks once."""

    def __init__(self, aws: Aws, attempt: Attempt) -> None:
        self._aws, self._attempt = aws, attempt
        self.plan: Plan = attempt.plan
        self._ended: dict[str, Job] = {}

    def look(self) -> Look:
        """Ask how it stands."""
        request = self._attempt.request
        main = self._job() if "job" in request else self._execution()
        if main.main not in FINAL:
            return main
        tasks = {**main.tasks, **self._handlers()}
        return concluded(main._replace(tasks=tasks), self._attempt.request["after"])

    def _job(self) -> Look:
        """A run that is one job."""
        asked = self._attempt.request["job"]
        step = next(each for each in self.plan.steps if not each.always)
        found = self._described(asked, step.name)
        if found is None:
            return unknown(self._attempt.started, "SageMaker")
        task = _task(found)
        return Look(found.state, found.state, {step.name: task}, found.began, found.ended)

    def _execution(self) -> Look:
        attempt = self._attempt
        arn = execution_of(self._aws, attempt)
        found = self._aws.find(
            "sagemaker", "describe_pipeline_execution", "tell of the run", PipelineExecutionArn=arn
        ) if arn else None  # fmt: skip
        if found is None:
            return unknown(self._attempt.started, "SageMaker")
        state = _OF_EXECUTION.get(found["PipelineExecutionStatus"], "running")
        if not attempt.started and state in BROKEN and arn == attempt.request["resumes"]:
            return Look("waiting", "waiting", {})  # it is still to be gone on with
        ended = moment(found, "LastModifiedTime") if state in FINAL else 0.0
        known = self._listed(arn)
        words = _failed_beside(known, self.plan) or found.get("FailureReason", "")
        tasks = self._tasks(known, state)
        return Look(state, state, tasks, moment(found, "CreationTime"), ended, words, 0, arn)

    def _listed(self, arn: str) -> dict[str, Found]:
        """What SageMaker tells of each step that it has come to."""
        listed = self._aws.pages(
            "sagemaker", "list_pipeline_execution_steps", "PipelineExecutionSteps",
            "tell of the steps", PipelineExecutionArn=arn,
        )  # fmt: skip
        return {each["StepName"]: each for each in listed}

    def _tasks(self, known: Mapping[str, Found], state: State) -> dict[str, Task]:
        """The steps that were come to; of an execution that has ended every step of the plan."""
        denied = self._denied(known)
        found: dict[str, Task] = {}
        for step in self.plan.steps:
            if step.always:
                continue
            if step.name in known:
                found[step.name] = self._task(step, known[step.name])
            elif step.name in denied:
                found[step.name] = Task("skipped", words="its condition does not hold")
            elif state in FINAL:
                found[step.name] = not_reached(step, found, state)
        return found

    def _task(self, step: Step, told: Found) -> Task:
        state = _OF_STEP.get(told["StepStatus"], "running")
        began, ended = moment(told, "StartTime"), moment(told, "EndTime")
        reason, attempt = told.get("FailureReason", ""), told.get("AttemptCount") or 1
        why = errors.ended(reason, step.name)
        words = str(why) if reason else ""
        code = 1 if state == "failed" else 0
        error = type(why).__name__ if code else ""
        task = Task(state, began, ended, words=words, code=code, attempt=attempt, error=error)
        kind, name = _job_of(told.get("Metadata", {}))
        if not name:
            return task
        task = task._replace(kind=kind, job=name)
        if kind == "Processing" and state in ("running", "succeeded"):
            return task  # nothing more is told of these
        job = self._job_called(kind, name, step.name)
        if job is None:
            return task
        return task._replace(
            words=job.words or words, code=job.code or code, left=job.left,
            attempt=attempt + job.interrupted, error=job.error or error,
        )  # fmt: skip

    def _denied(self, known: Mapping[str, Found]) -> set[str]:
        """The steps of branches that were not taken."""
        no = {
            name
            for name, told in known.items()
            if told.get("Metadata", {}).get("Condition", {}).get("Outcome", "").lower() == "false"
        }
        branches: Mapping[str, list[str]] = self._attempt.request["branches"]
        return {step for name in no for step in branches.get(name, ())}

    def _described(self, asked: Mapping[str, Any], step: str) -> Job | None:
        """The job that a request of ours made."""
        kind = kind_of(asked["operation"])
        return self._job_called(kind, asked["request"][f"{kind}JobName"], step)

    def _job_called(self, kind: str, name: str, step: str) -> Job | None:
        if name in self._ended:
            return self._ended[name]
        found = describe(self._aws, kind, name, step)
        if found and found.state in FINAL:
            self._ended[name] = found
        return found

    def _handlers(self) -> dict[str, Task]:
        after = self._attempt.request["after"].items()
        jobs = {name: self._described(asked, name) for name, asked in after}
        return {name: _task(job) for name, job in jobs.items() if job}


def execution_of(aws: Aws, attempt: Attempt) -> str:
    """The ARN of the attempt's own execution, kept or not yet; empty where there is none."""
    if arn := attempt.started.get("execution") or attempt.request["resumes"]:
        return str(arn)
    wanted = execution(attempt.run_id, attempt.number)
    for each in _executions(aws, attempt.request["pipeline"]):
        if each.get("PipelineExecutionDisplayName") == wanted:
            return str(each["PipelineExecutionArn"])
    return ""


def newest(aws: Aws, pipeline: str) -> str:
    """The ARN of the newest execution of a pipeline; empty where there is none."""
    return str(next(_executions(aws, pipeline), {}).get("PipelineExecutionArn", ""))


def _executions(aws: Aws, pipeline: str) -> Iterator[Found]:
    """Those of a pipeline, the newest first; none of one that is not there."""
    more: dict[str, str] = {}
    while found := aws.find(
        "sagemaker", "list_pipeline_executions", "tell of the run", PipelineName=pipeline, **more
    ):
        yield from found["PipelineExecutionSummaries"]
        if "NextToken" not in found:
            return
        more = {"NextToken": found["NextToken"]}


def _failed_beside(known: Mapping[str, Found], plan: Plan) -> str:
    """Why a condition, which is no step of the plan, could not be answered."""
    names = {step.name for step in plan.steps}
    for name, told in known.items():
        if told["StepStatus"] == "Failed" and name not in names:
            return f"{name} failed: {told.get('FailureReason', '')}"
    return ""


def _task(job: Job) -> Task:
    return Task(
        job.state, job.began, job.ended, job.kind, job.name, job.left, job.words, job.code,
        1 + job.interrupted, job.error,
    )  # fmt: skip


def _job_of(metadata: Mapping[str, Any]) -> tuple[str, str]:
    for kind in _KINDS:
        if arn := metadata.get(f"{kind}Job", {}).get("Arn", ""):
            return kind, arn.rpartition("/")[2]
    return "", ""
