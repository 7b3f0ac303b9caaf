"""A job of SageMaker's as it stands, training and processing told alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from infra.aws import errors
from infra.aws.session import Aws
from infra.cloud.looking import with_last_lines
from infra.errors import InputError
from infra.plan import State

_STATES: Mapping[str, State] = {
    "InProgress": "running", "Stopping": "running", "Completed": "succeeded", "Failed": "failed",
    "Stopped": "cancelled",
}  # fmt: skip
_BAD_INPUT = 2


class Job(NamedTuple):
    """A job. ``began`` and ``ended`` are seconds since the epoch, 0 for not yet.

    ``words`` say what it does just now, or why it failed, whose exit code is then ``code``, and
    ``error`` the name of that in infra.errors.
    ``interrupted`` counts the machines that were taken away. ``left`` is where a model lies.
    """

    kind: str
    name: str
    state: State
    began: float = 0.0
    ended: float = 0.0
    words: str = ""
    code: int = 0
    interrupted: int = 0
    left: str = ""
    error: str = ""


def describe(aws: Aws, kind: str, name: str, step: str) -> Job | None:
    """The job of that name; None where there is none. ``kind`` is Training or Processing."""
    found = aws.find(
        "sagemaker", f"describe_{kind.lower()}_job", f"tell of the job {name}",
        **{f"{kind}JobName": name},
    )  # fmt: skip
    return _read(kind, found, step) if found else None


def kind_of(operation: str) -> str:
    """The kind of job that an operation makes: CreateTrainingJob, a Training one."""
    return operation.removeprefix("Create").removesuffix("Job")


def moment(found: Mapping[str, Any], *names: str) -> float:
    """The first time there is of those names, as seconds since the epoch; 0 where there is none."""
    for name in names:
        if found.get(name):
            return round(float(found[name].timestamp()), 3)
    return 0.0


def _read(kind: str, found: Mapping[str, Any], step: str) -> Job:
    state = _STATES.get(found[f"{kind}JobStatus"], "running")
    changes = found.get("SecondaryStatusTransitions", ())
    began = moment(found, f"{kind}StartTime", "CreationTime")
    ended = moment(found, f"{kind}EndTime", "LastModifiedTime") if state != "running" else 0.0
    words, code, error = "", 0, ""
    interrupted = sum(each["Status"] == "Interrupted" for each in changes)
    if state == "running" and changes:
        words = _doing(changes[-1], interrupted)
    if state == "cancelled" and (why := _too_long(kind, found, step, ended - began)):
        state, words, code = "failed", why, 1
    elif state == "failed":
        words, code, error = _failure(found, step)
    return Job(
        kind, found[f"{kind}JobName"], state, began, ended, words, code,
        interrupted,
        found.get("ModelArtifacts", {}).get("S3ModelArtifacts", ""), error,
    )  # fmt: skip


def _doing(change: Mapping[str, Any], interrupted: int) -> str:
    """What a training job does just now."""
    words = str(change.get("StatusMessage", ""))
    if change["Status"] == "Interrupted":
        return "its spot machine was taken away; it goes on from its checkpoint on another"
    if not interrupted:
        return words
    return f"on spot machine {interrupted + 1}, the one before was taken away: {words}"


def _too_long(kind: str, found: Mapping[str, Any], step: str, took: float) -> str:
    """Why SageMaker stopped a job that nobody asked to stop; empty where somebody did."""
    limits = found.get("StoppingCondition", {})
    longest = limits.get("MaxRuntimeInSeconds", 0)
    secondary = found.get("SecondaryStatus", "")
    if secondary == "MaxWaitTimeExceeded":
        most = limits.get("MaxWaitTimeInSeconds", 0)
        return f"{step} had no spot machine for long enough within {most} s; leave --spot out"
    if secondary == "MaxRuntimeExceeded" or (kind == "Processing" and 0 < longest <= took):
        return f"{step} did not end within {longest} s, its timeout; it was stopped"
    return ""


def _failure(found: Mapping[str, Any], step: str) -> tuple[str, int, str]:
    """In words, the exit code of the command that followed the run, and the name of the error."""
    reason = found.get("FailureReason", "")
    error, code = errors.ended(reason, step), errors.exit_code(reason)
    words = str(error)
    if code is not None and code != errors.MEMORY:
        text = found.get("ExitMessage") or reason.partition(": ")[2].rpartition(", exit code")[0]
        end = f"{step} ended with code {code}"
        last = [line for line in text.strip().splitlines() if line != end]
        words = with_last_lines(f"{step} ended with exit code {code}", last)
    bad = code == _BAD_INPUT or isinstance(error, InputError)
    return words, _BAD_INPUT if bad else 1, type(error).__name__
