"""PipelineJobs: each is validated, its IR read into a plan, and the plan executed."""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from infra import ir
from infra.cache import Entry
from infra.errors import InputError, TrefoilError
from infra.gcp.emulator.drive import FINAL as JOB_FINAL
from infra.gcp.emulator.drive import KIND as JOB
from infra.gcp.emulator.refusal import NUMBERS, Refused
from infra.gcp.emulator.rented import Rented
from infra.gcp.emulator.tasks import artifact_uri, details, main_jobs
from infra.gcp.emulator.unlowered import executable, imported_here
from infra.gcp.emulator.vertex import PREFIX, Operation
from infra.gcp.emulator.world import Record, World, moment
from infra.gcp.names import RUN
from infra.local import LocalSettings
from infra.local.attempt import Rules
from infra.plan import DONE, FINAL, Event, Plan, State
from infra.rehearsal.executor import Execution
from infra.rehearsal.stages import Stage, stages

KIND = "PipelineJob"
ENDED = frozenset({"PIPELINE_STATE_SUCCEEDED", "PIPELINE_STATE_FAILED", "PIPELINE_STATE_CANCELLED"})
_STATES: Mapping[State, str] = {
    "succeeded": "PIPELINE_STATE_SUCCEEDED", "failed": "PIPELINE_STATE_FAILED",
    "cancelled": "PIPELINE_STATE_CANCELLED",
}  # fmt: skip
_RULES = Rules(restarts=0, told=False)
"""Of Vertex AI: a step is told nothing that Trefoil would tell, and any end uses up a retry."""
Request = Mapping[str, Any]


class Pipelines:
    """All of them. What is under way goes on when the stand-in is started again."""

    def __init__(self, world: World, workspace: Path, runner: str, looking: bool) -> None:
        self._world, self._looking, self._address = world, looking, ""
        self._settings = LocalSettings(workspace=str(workspace / "engine"), runner=runner)  # type: ignore[arg-type]
        self._executions: dict[str, Execution] = {}
        self._over: dict[str, threading.Event] = {}
        self._plans: dict[str, Plan] = {}

    def operations(self) -> dict[str, Operation]:
        """The operations there are, by their IDs."""
        does: dict[str, Operation] = {
            "create": self._create, "get": self._get, "list": self._list,
            "cancel": self._cancel, "delete": self._delete,
        }  # fmt: skip
        return {f"{PREFIX}pipelineJobs.{verb}": operation for verb, operation in does.items()}

    def resume(self, address: str) -> None:
        """Go on with what was under way; the stand-in answers at an address now."""
        self._address = address
        for record in self._world.store.of(KIND):
            if not self._ended(record):
                self._go_on(record)

    def close(self) -> None:
        """Stop what still runs, where it stands."""
        for over in self._over.values():
            over.set()
        for execution in self._executions.values():
            execution.close()

    def logs(self, job: str) -> Iterator[tuple[str, Path, float]]:
        """The log of the job of an attempt at a step: its name, its file, and when it began."""
        for record in self._world.store.of(KIND):
            for name, stage in self._stages(record).items():
                ids = main_jobs(record, name, stage)
                if job in ids:
                    files = self._execution(record).log(name)
                    at = len(files) - len(ids) + ids.index(job)
                    if 0 <= at < len(files):
                        yield "workerpool0-0", files[at], stage.began

    # --- what is asked

    def _create(self, request: Request) -> dict[str, Any]:
        body, world = dict(request["body"]), self._world
        identity = request.get("pipelineJobId") or f"pipeline-{secrets.randbelow(10**10)}"
        arn = world.name(f"pipelineJobs/{identity}")
        with world.store.lock:
            if world.store.get(KIND, identity):
                raise Refused("ALREADY_EXISTS", f"The PipelineJob {arn} already exists.")
            world.check_account(body.get("serviceAccount", ""))
            root = body["runtimeConfig"]["gcsOutputDirectory"]
            world.objects.path(root)  # its bucket must be there
            record = world.store.add(
                KIND, identity, arn, body=body, cancelling=False, refused={}, finished="",
                finished_at=0.0,
            )  # fmt: skip
            try:
                self._start(record)
            except TrefoilError as error:
                world.store.remove(KIND, identity)
                words = f"this rehearsal cannot execute this pipeline: {error}"
                raise Refused("INVALID_ARGUMENT", words) from None
        return self._told(record)

    def _get(self, request: Request) -> dict[str, Any]:
        return self._told(self._found(request["name"]))

    def _list(self, request: Request) -> dict[str, Any]:
        found = [self._told(each, whole=False) for each in self._world.store.of(KIND)]
        return self._world.page(found, request, "pipelineJobs")

    def _cancel(self, request: Request) -> dict[str, Any]:
        record = self._found(request["name"])
        if self._ended(record):
            words = f"{record['arn']} is in a final state and cannot be cancelled."
            raise Refused("FAILED_PRECONDITION", words)
        record["cancelling"] = True
        self._world.store.save(KIND, record)
        if self._looking:
            self._end_here(record)
        else:
            self._over[record["name"]].set()
            self._execution(record).cancel()
        return {}

    def _delete(self, request: Request) -> dict[str, Any]:
        record = self._found(request["name"])
        if not self._ended(record):
            raise Refused("FAILED_PRECONDITION", f"{record['arn']} is not in a final state.")
        self._world.store.remove(KIND, record["name"])
        return {"name": self._world.name(f"operations/{record['name']}"), "done": True}

    def _end_here(self, record: Record) -> None:
        """End what a rehearsal that was killed has left of a run."""
        if not self._execution(record).end(self._settings):
            raise Refused("INTERNAL", "the rehearsal that executes it does not answer")
        run = record["body"].get("labels", {}).get(RUN)
        for job in self._world.store.of(JOB):
            if job["state"] not in JOB_FINAL and job["body"].get("labels", {}).get(RUN) == run:
                job["state"] = "JOB_STATE_CANCELLED"
                self._world.store.save(JOB, job)

    # --- what is executed

    def _start(self, record: Record) -> None:
        """Begin, or go on. Raises TrefoilError."""
        name, over = record["name"], threading.Event()
        self._over[name] = over
        plan, shared = _apart(self._read(record, self._world.machines.image))
        found = self._world.machines.seen(shared, self._world.objects.root)

        def tell(event: Event) -> None:
            if event.step and event.state in DONE:
                self._put(record, plan, event.step)

        def refuse(step: str, refused: Refused) -> None:
            record["refused"][step] = refused.rpc()
            self._world.store.save(KIND, record)

        self._execution(record).start(
            plan, name, self._settings._replace(network=found.network), found.environment, _RULES,
            tell, lambda runner: Rented(runner, self._world, over, refuse), found.beside,
        )  # fmt: skip

    def _go_on(self, record: Record) -> None:
        """With what a rehearsal before has begun; it has failed where that cannot be any more."""
        try:
            self._start(record)
        except (InputError, Refused) as error:  # as of an image that was removed since
            end = Event("", "failed", message=str(error), code=1)
            self._execution(record).end(self._settings, end)
            return
        if record["cancelling"]:
            self._execution(record).cancel()

    def _put(self, record: Record, plan: Plan, step: str) -> None:
        """Put what a step left where its artefacts lie in Cloud Storage."""
        entry = self._execution(record).entry(step)
        for output in plan.step(step).artifacts if entry else ():
            uri = artifact_uri(self._world, record, plan.step(step), plan, output)
            with contextlib.suppress(OSError, Refused):
                self._world.objects.upload(entry.output(output), uri)  # type: ignore[union-attr]

    def _execution(self, record: Record) -> Execution:
        if record["name"] not in self._executions:
            place = Path(self._settings.workspace)
            self._executions[record["name"]] = Execution(place, record["name"])
        return self._executions[record["name"]]

    def _read(self, record: Record, image: Callable[[str], str] = str) -> Plan:
        """The plan, its images as ``image`` calls them. Raises Refused."""
        machines, body = self._world.machines, record["body"]
        gcs = self._world.objects.root
        spec = executable(
            body["pipelineSpec"], self._address, self._world.name(),
            lambda text: machines.path(text, gcs), image,
        )  # fmt: skip
        given = dict(body["runtimeConfig"].get("parameterValues") or {})
        try:
            plan = ir.read({"pipeline": spec, "platforms": {}}, given)
            return imported_here(plan, self._world.objects)
        except InputError as error:
            words = f"this rehearsal cannot execute this pipeline: {error}"
            raise Refused("INVALID_ARGUMENT", words) from None

    def _plan(self, record: Record) -> Plan:
        """The same for what is only told of it, whatever images are here."""
        if record["name"] not in self._plans:
            self._plans[record["name"]] = self._read(record)
        return self._plans[record["name"]]

    # --- what is told

    def _stages(self, record: Record) -> dict[str, Stage]:
        return stages(self._execution(record).moments())

    def _state(self, record: Record) -> str:
        whole = [m.event for m in self._execution(record).moments() if not m.event.step]
        if whole and whole[-1].state in FINAL:
            return _STATES[whole[-1].state]
        if record["cancelling"]:
            return "PIPELINE_STATE_CANCELLING"
        return "PIPELINE_STATE_RUNNING" if whole else "PIPELINE_STATE_PENDING"

    def _ended(self, record: Record) -> bool:
        return self._state(record) in ENDED

    def _told(self, record: Record, whole: bool = True) -> dict[str, Any]:
        """The job as it is returned; ``whole`` with its tasks."""
        state, moments = self._state(record), self._execution(record).moments()
        times = [each.at or 0.0 for each in moments if not each.event.step]
        found: dict[str, Any] = {
            **record["body"],
            "name": record["arn"],
            "state": state,
            "createTime": moment(record["created"]),
            "updateTime": moment(record["modified"]),
        }
        if times:
            found["startTime"] = moment(times[0])
        if state in ENDED and times:
            found["endTime"] = moment(times[-1])
        if whole:
            plan, known = self._plan(record), self._stages(record)
            entries = self._entries(record, known)
            tasks = details(self._world, record, plan, known, entries)
            found["jobDetail"] = {"taskDetails": tasks}
            if error := _error(state, tasks, moments[-1].event if moments else None):
                found["error"] = error
        return found

    def _entries(self, record: Record, known: Mapping[str, Stage]) -> dict[str, Entry]:
        execution = self._execution(record)
        done = (name for name, stage in known.items() if stage.event.state in DONE)
        found = ((name, execution.entry(name)) for name in done)
        return {name: entry for name, entry in found if entry}

    def _found(self, name: str) -> Record:
        record = self._world.store.get(KIND, name.rpartition("/")[2])
        if record is None:
            raise Refused("NOT_FOUND", f"PipelineJob {name} does not exist.")
        return record


def _apart(plan: Plan) -> tuple[Plan, dict[str, str]]:
    """The plan without what all of its steps find in their environment, and that.

    Caching does not look at it: else no run would find what another one kept.
    """
    own = [step for step in plan.steps if len(step.env) > 1]
    shared = dict(set.intersection(*(set(step.env.items()) for step in own))) if own else {}
    steps = tuple(
        step._replace(env={n: v for n, v in step.env.items() if shared.get(n) != v})
        for step in plan.steps
    )
    return plan._replace(steps=steps), shared


def _error(state: str, tasks: list[dict[str, Any]], last: Event | None) -> dict[str, Any]:
    if state == "PIPELINE_STATE_CANCELLED":
        return {"code": NUMBERS["CANCELLED"], "message": "The pipeline was cancelled."}
    if state != "PIPELINE_STATE_FAILED":
        return {}
    leaves = [each["taskName"] for each in tasks if each["state"] == "FAILED" and "error" in each]
    if not leaves and last:
        return {"code": NUMBERS["INTERNAL"], "message": last.message}
    words = (
        f"The DAG failed because some tasks failed. The failed tasks are: [{', '.join(leaves)}]."
    )
    return {"code": NUMBERS["FAILED_PRECONDITION"], "message": words}
