"""The tasks of a PipelineJob, as its jobDetail tells them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from infra.cache import Entry
from infra.gcp.emulator.refusal import NUMBERS
from infra.gcp.emulator.world import World, moment
from infra.plan import Plan, State, Step
from infra.rehearsal.stages import Stage

_STATES: Mapping[State, str] = {
    "waiting": "PENDING", "running": "RUNNING", "succeeded": "SUCCEEDED", "cached": "SKIPPED",
    "skipped": "NOT_TRIGGERED", "failed": "FAILED", "cancelled": "CANCELLED",
}  # fmt: skip
_EXIT = re.compile(r"exit code (\d+)")
_KILLED = re.compile(r"killed by signal (\d+)")
Path = tuple[str, ...]


def details(
    world: World, job: Mapping[str, Any], plan: Plan, stages: Mapping[str, Stage],
    entries: Mapping[str, Entry],
) -> list[dict[str, Any]]:  # fmt: skip
    """Every task that was come to, and the groups above them, the whole pipeline the first."""
    groups: dict[Path, list[Stage]] = {}
    found: list[dict[str, Any]] = []
    for name, stage in stages.items():
        step = plan.step(name)
        path = _path(step, plan)
        for depth in range(len(path)):
            groups.setdefault(path[:depth], []).append(stage)
        found.append(_task(world, job, step, path, stage, entries.get(name)))
    above = [_group(job, path, inner) for path, inner in groups.items()]
    return [*above, *found]


def artifact_uri(world: World, job: Mapping[str, Any], step: Step, plan: Plan, name: str) -> str:
    """Where an output artefact of a step lies."""
    root = job["body"]["runtimeConfig"]["gcsOutputDirectory"].rstrip("/")
    task = identity(job["name"], *_path(step, plan))
    return f"{root}/{world.number}/{job['name']}/{step.task[-1]}_{task}/{name}"


def identity(*names: str) -> str:
    """A number that is always the same."""
    digest = hashlib.sha256("\0".join(names).encode()).hexdigest()
    return str(10**18 + int(digest[:15], 16))


def main_jobs(job: Mapping[str, Any], step: str, stage: Stage) -> list[str]:
    """The ID of the job of each attempt of a step."""
    return [identity(job["name"], step, str(at)) for at in range(len(stage.failures) + 1)]


def _path(step: Step, plan: Plan) -> Path:
    """The names from the root down; an iteration has a group of its own below its loop."""
    same = [each.name for each in plan.steps if each.task == step.task]
    if len(same) < 2 or len(step.task) < 2:
        return step.task
    loop = step.task[-2]
    return (*step.task[:-1], f"{loop}-{same.index(step.name)}", step.task[-1])


def _task(
    world: World, job: Mapping[str, Any], step: Step, path: Path, stage: Stage,
    entry: Entry | None,
) -> dict[str, Any]:  # fmt: skip
    state = stage.event.state
    found = _bare(job, path, _STATES[state], stage.began, stage.ended)
    if state in ("skipped", "waiting"):
        return found
    ids = main_jobs(job, step.name, stage)
    jobs = [f"{world.name('customJobs')}/{each}" for each in ids]
    container: dict[str, Any] = {"mainJob": jobs[-1]}
    if jobs[:-1]:
        container["failedMainJobs"] = jobs[:-1]
    found["executorDetail"] = {"containerDetail": container}
    metadata = {f"output:{name}": value for name, value in (entry.values if entry else {}).items()}
    found["execution"] = {
        "name": f"{world.name('metadataStores/default/executions')}/{ids[-1]}",
        "schemaTitle": "system.ContainerExecution",
        "state": {"SUCCEEDED": "COMPLETE", "SKIPPED": "CACHED"}.get(_STATES[state], _STATES[state]),
        "metadata": metadata,
    }
    if state == "failed":
        found["error"] = _error(job, step, stage)
    if entry and step.artifacts:
        found["outputs"] = {
            name: {"artifacts": [_artifact(world, job, step, path, name)]}
            for name in step.artifacts
        }
    return found


def _artifact(
    world: World, job: Mapping[str, Any], step: Step, path: Path, name: str
) -> dict[str, Any]:
    root = job["body"]["runtimeConfig"]["gcsOutputDirectory"].rstrip("/")
    task = identity(job["name"], *path)
    return {
        "name": f"{world.name('metadataStores/default/artifacts')}/{identity(task, name)}",
        "displayName": name,
        "uri": f"{root}/{world.number}/{job['name']}/{step.task[-1]}_{task}/{name}",
        "schemaTitle": step.artifacts[name],
        "state": "LIVE",
    }


def _error(job: Mapping[str, Any], step: Step, stage: Stage) -> dict[str, Any]:
    """As Vertex AI tells why the container of a task ended."""
    if refused := job["refused"].get(step.name):
        return dict(refused)
    message = stage.event.message
    killed, code = _KILLED.search(message), _EXIT.search(message)
    status = 128 + int(killed[1]) if killed else int(code[1]) if code else 1
    words = (
        f"The replica workerpool0-0 exited with a non-zero status of {status}. To find out more "
        "about why your job exited please check the logs."
    )
    return {"code": NUMBERS["FAILED_PRECONDITION"], "message": words}


def _group(job: Mapping[str, Any], path: Path, inner: list[Stage]) -> dict[str, Any]:
    states = {_STATES[stage.event.state] for stage in inner}
    state = "SUCCEEDED"
    for each in ("FAILED", "CANCELLED", "RUNNING", "PENDING"):
        if each in states:
            state = each
            break
    else:
        state = "NOT_TRIGGERED" if states == {"NOT_TRIGGERED"} and path else "SUCCEEDED"
    began = min((stage.began for stage in inner if stage.began), default=0.0)
    return _bare(job, path, state, began, max(stage.ended for stage in inner))


def _bare(
    job: Mapping[str, Any], path: Path, state: str, began: float, ended: float
) -> dict[str, Any]:
    found = {
        "taskId": identity(job["name"], *path),
        "taskName": path[-1] if path else job["name"],
        "state": state,
        "createTime": moment(job["created"]),
        **({"startTime": moment(began)} if began else {}),
        **({"endTime": moment(ended)} if ended and state != "RUNNING" else {}),
    }
    if path:
        found["parentTaskId"] = identity(job["name"], *path[:-1])
        found["taskUniqueName"] = ".".join(path)
    return found


def failed_tasks(found: Iterator[Mapping[str, Any]]) -> list[str]:
    """The names of those that failed."""
    return [each["taskName"] for each in found if each["state"] == "FAILED"]
