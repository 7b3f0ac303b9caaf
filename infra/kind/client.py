"""The verbs for Kubeflow Pipelines. A run lives in the cluster, whoever watches it."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.errors import InputError, ProviderError, unwritable
from infra.kind import KindSettings
from infra.kind.pages import Pages
from infra.kind.server import Found, Server
from infra.kind.tasks import Task, run_state, seconds, tasks
from infra.kind.watch import Watch
from infra.plan import DONE, FINAL, Event, Json, LogLine, Plan, Request, RunRef, Status
from infra.provider import Context
from infra.storage import locked
from infra.values import neat

if TYPE_CHECKING:
    from infra.history import History

_LOST = 1.0
"""Seconds after which a run whose answer was lost must be there, if the server got it."""


def submit(request: Request, settings: KindSettings, _context: Context) -> RunRef:
    """Start the run; attach to it where it goes on, or has succeeded.

    KFP takes two runs of one name: of two commands at once in a workspace, one waits and attaches.
    Raises InputError with KFP's words where it refuses, CredentialsError, ProviderError.
    """
    server = _connected(settings.host)
    body: Any = request.body
    name = str(body["experiment"])
    experiment = server.experiment(name) or server.create_experiment(name)
    try:
        with locked(Path(settings.workspace) / "submit.lock"):
            there = server.find(experiment, request.run_id)
            if there is None or run_state(there) in ("failed", "cancelled", "skipped"):
                _create(server, {**body["run"], "experiment_id": experiment}, there)
    except OSError as error:
        raise unwritable(settings.workspace, error) from error
    return RunRef("kind", request.run_id)


def follow(run: RunRef, settings: KindSettings) -> Iterator[Event]:
    """Watch the run to its end, or until a step could not be started for too long."""
    server = _connected(settings.host)
    found = _require(server, run, settings)
    watch = Watch(server, Pages(server, settings, found), _plan(found), settings)
    return watch.events(found["run_id"])


def status(run: RunRef, settings: KindSettings) -> Status:
    """Where the run stands. Raises InputError on an unknown run."""
    server = _connected(settings.host)
    found = _whole(server, run, settings)
    known = _tasks(server, found)
    steps = {name: task.event(name) for name, task in known.items() if task.state != "waiting"}
    failed = next((name for name, task in known.items() if task.state == "failed"), "")
    message = _error(found) or (f"{failed} failed" if failed else "")
    return Status(run, run_state(found), steps, message)


def logs(run: RunRef, settings: KindSettings, step: str, follow: bool) -> Iterator[LogLine]:
    """What the steps printed, step after step; with ``follow`` until the run has ended.

    Raises InputError on an unknown run or step.
    """
    server = _connected(settings.host)
    found = _whole(server, run, settings)
    names = [each.name for each in _plan(found).steps]
    if step and step not in names:
        raise InputError(f"run {run.run_id} has no step {step}; it has {', '.join(names)}")
    pages = Pages(server, settings, found)
    printed: dict[str, int] = {}
    while True:
        ended = run_state(found) in FINAL
        for name, task in _tasks(server, found).items():
            if step in ("", name):
                lines = pages.lines(task, whole=ended or not follow)
                yield from (LogLine(name, line) for line in lines[printed.get(name, 0) :])
                printed[name] = len(lines)
        if ended or not follow:
            return
        time.sleep(settings.poll)
        found = server.get(found["run_id"])


def outputs(run: RunRef, settings: KindSettings) -> dict[str, dict[str, Json]]:
    """By step: each output parameter's value, and each artefact's path, or else its URI.

    An artefact that is one file, and not too large, is brought into the workspace; of one that is
    a folder, KFP's page hands out no list, and only metrics.json is known to be there. Each of
    KFP's runs of that name has copies of its own.
    """
    server = _connected(settings.host)
    found = _whole(server, run, settings)
    plan, pages = _plan(found), Pages(server, settings, found)
    ended = {name: task for name, task in _tasks(server, found).items() if task.state in DONE}
    uris = server.metadata.artifacts(task.execution for task in ended.values()) if ended else {}
    place = Path(settings.workspace) / "artefacts" / run.run_id / found["run_id"]
    left: dict[str, dict[str, Json]] = {}
    for name, task in ended.items():
        step = plan.step(name)
        values = {
            key: neat(task.values[key], kind)
            for key, kind in step.parameters.items()
            if key in task.values
        }
        artifacts = {
            key: str(pages.fetched(uri, place / name / key) or uri)
            for key, uri in uris.get(task.execution, {}).items()
        }
        left[name] = {**values, **artifacts}
    return left


def history(run: RunRef, settings: KindSettings) -> History:
    """The plan, and when each event was. Raises InputError on an unknown run."""
    from infra.history import History, Moment

    server = _connected(settings.host)
    found = _whole(server, run, settings)
    plan = _plan(found)
    state = run_state(found)
    moments = [Moment(Event("", "running"), seconds(found.get("created_at")))]
    for name, task in _tasks(server, found).items():
        if task.began:
            commit = plan.step(name).env.get("TREFOIL_GIT_COMMIT", "")
            moments.append(Moment(Event(name, "running"), task.began, commit=commit))
        if task.state in FINAL:
            moments.append(Moment(task.event(name), task.ended or task.began or None))
    if state in FINAL:
        ended = seconds(found.get("finished_at"))
        took = ended - (moments[0].at or ended)
        moments.append(Moment(Event("", state, took, _error(found)), ended))
    return History(plan, tuple(sorted(moments, key=lambda each: each.at or 0.0)))


def why(run: RunRef, settings: KindSettings, step: str) -> list[str]:
    """What KFP can tell of why a step ran: it keeps the plans, not what its cache compared.

    Raises InputError on an unknown run or step.
    """
    from infra.kind.reasons import differences

    server = _connected(settings.host)
    found = _whole(server, run, settings)
    plan, known = _plan(found), _tasks(server, found)
    if step not in [each.name for each in plan.steps]:
        raise InputError(f"run {run.run_id} has no step {step}; it has {', '.join(known)}")
    task = known.get(step) or Task("waiting")
    if task.state == "skipped":
        return [f"{step} was skipped: {task.reason}"]
    if not plan.step(step).cache:
        return [f"{step} runs every time: caching is off for it"]
    runs = server.runs(found["experiment_id"])
    for older in runs:
        if older["run_id"] == found["run_id"]:
            break
    for older in runs:
        before = _tasks(server, server.get(older["run_id"]))
        if step in before and before[step].state in DONE:
            changed = differences(_plan(older), plan, step, known)
            name = older["display_name"]
            same = [f"nothing that goes into {step} changed since {name}: it is {task.state}"]
            return [f"since {name}:", *changed] if changed else same
    return [f"{step} never ran before {run.run_id} in this experiment"]


def cancel(run: RunRef, settings: KindSettings) -> bool:
    """Ask KFP to end the run; False when it had ended already."""
    server = _connected(settings.host)
    found = _require(server, run, settings)
    if run_state(found) in FINAL:
        return False
    try:
        server.terminate(found["run_id"])
    except InputError:  # KFP refuses to end what has ended meanwhile
        return run_state(server.get(found["run_id"])) not in FINAL
    return True


def list_runs(settings: KindSettings) -> list[RunRef]:
    """The runs of the experiment, newest first; of those of one name, one."""
    server = _connected(settings.host)
    experiment = server.experiment(settings.experiment)
    names = (run["display_name"] for run in server.runs(experiment)) if experiment else ()
    return [RunRef("kind", name) for name in dict.fromkeys(names)]


@functools.lru_cache(maxsize=4)
def _connected(host: str) -> Server:
    return Server(host)


def _create(server: Server, run: Found, before: Found | None) -> None:
    """Start a run; where the answer was lost, see whether it was started all the same."""
    try:
        server.create(run)
    except ProviderError:
        time.sleep(_LOST)
        now = server.find(run["experiment_id"], run["display_name"])
        if now is None or (before and now["run_id"] == before["run_id"]):
            raise


def _require(server: Server, run: RunRef, settings: KindSettings) -> Found:
    """The newest run of that name. Raises InputError."""
    experiment = server.experiment(settings.experiment)
    found = server.find(experiment, run.run_id) if experiment else None
    if found is None:
        raise InputError(
            f"there is no run {run.run_id} in the experiment {settings.experiment} of "
            f"{server.host}; see: python -m pipelines list --provider kind"
        )
    return found


def _whole(server: Server, run: RunRef, settings: KindSettings) -> Found:
    """The run with its tasks, which a list of runs may leave out."""
    return server.get(_require(server, run, settings)["run_id"])


def _plan(found: Found) -> Plan:
    """The plan of a run, read from the pipeline that KFP keeps of it. Raises InputError."""
    from infra import ir

    kept = found.get("pipeline_spec") or {}
    document = {
        "pipeline": kept.get("pipeline_spec", kept),
        "platforms": kept.get("platform_spec") or {},
    }
    given = (found.get("runtime_config") or {}).get("parameters") or {}
    return ir.read(document, given)


def _tasks(server: Server, found: Found) -> dict[str, Task]:
    context = server.metadata.context(found["run_id"])
    executions = server.metadata.executions(context) if context else []
    return tasks(_plan(found), found, executions)


def _error(found: Found) -> str:
    return str((found.get("error") or {}).get("message") or "")
