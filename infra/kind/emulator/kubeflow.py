"""Kubeflow Pipelines' API on loopback: every call validated, every run executed."""

from __future__ import annotations

import contextlib
import json
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from infra.errors import InputError, TrefoilError
from infra.kind.emulator import pipeline
from infra.kind.emulator.calls import check, listed, operation_of
from infra.kind.emulator.page import Page
from infra.kind.emulator.refusal import (
    EXISTS,
    INTERNAL,
    INVALID,
    NOT_FOUND,
    UNIMPLEMENTED,
    Refused,
)
from infra.kind.emulator.runs import Run, fresh, moment_text
from infra.kind.emulator.store import Store
from infra.kind.metadata import SERVICE
from infra.local import LocalSettings
from infra.local.attempt import Rules
from infra.plan import Event, Plan
from infra.rehearsal.held import ask
from infra.rehearsal.server import Answer, Call, answer
from infra.storage import write_whole

Document = dict[str, Any]
_RULES = Rules(restarts=0, told=False)
"""Of pods: whatever a step ends with uses up a retry, and nobody tells it what Trefoil would."""


class World(NamedTuple):
    """What a stand-in is made of: its folder, what executes, and what its scenario says.

    ``environment`` gives a run's plan as it is executed, and what all its steps find in their
    environment; ``looking`` starts nothing.
    """

    folder: Path
    execution: LocalSettings
    scenario: Mapping[str, Any]
    environment: Callable[[Run], tuple[Plan, dict[str, str]]]
    version: str
    looking: bool


class Kubeflow:
    """The server's side."""

    def __init__(self, world: World) -> None:
        """Take up what an earlier command left in the folder."""
        self._world, self._lock = world, threading.RLock()
        self._file = world.folder / "experiments.json"
        self._experiments: list[Document] = self._kept_experiments()
        self._runs = [self._kept(file) for file in (world.folder / "records").glob("*.json")]
        self._store, self._page = Store(lambda: self._runs), Page(lambda: self._runs)
        self._handlers: Mapping[str, Callable[[Call, list[str]], Any]] = {
            "healthz_service_get_healthz": self._healthz,
            "experiment_service_create_experiment": self._create_experiment,
            "experiment_service_get_experiment": self._get_experiment,
            "experiment_service_list_experiments": self._list_experiments,
            "run_service_create_run": self._create_run,
            "run_service_get_run": lambda _, ids: self._run(ids[0]).told(),
            "run_service_list_runs": self._list_runs,
            "run_service_terminate_run": self._terminate,
        }
        for run in () if world.looking else self._runs:
            if not run.ended():
                self._execute(run)

    def answer(self, call: Call) -> Answer:
        """What a call is answered, whatever it is."""
        if call.path.startswith(SERVICE) and call.method == "POST":
            return self._store.answer(call.path.removeprefix(SERVICE), call.body)
        if found := self._page.answer(call):
            return found
        try:
            operation, ids = operation_of(call)
            if operation.name not in self._handlers:
                raise Refused(UNIMPLEMENTED, f"the stand-in does not do {operation.name}")
            check(call, operation)
            with self._lock:
                return answer(self._handlers[operation.name](call, ids))
        except Refused as refusal:
            return refusal.answer(405 if refusal.message == "Method Not Allowed" else 0)

    def close(self) -> None:
        """Stop what still runs, where it stands."""
        for run in self._runs:
            run.execution.close()

    # --- experiments

    def _healthz(self, _call: Call, _ids: list[str]) -> Document:
        return {"tag_name": self._world.version, "multi_user": False, "pipeline_store": "database"}

    def _create_experiment(self, call: Call, _ids: list[str]) -> Document:
        posted = json.loads(call.body)
        name = posted.get("display_name") or posted.get("displayName")
        if not name:
            raise Refused(INVALID, "$.display_name: an experiment must have a name")
        if any(each["display_name"] == name for each in self._experiments):
            raise Refused(EXISTS, f"the name {name} already exists; give another")
        self._experiments.append(_experiment(name, posted.get("description", "")))
        self._file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self._file, json.dumps(self._experiments))
        return self._experiments[-1]

    def _get_experiment(self, _call: Call, ids: list[str]) -> Document:
        for each in self._experiments:
            if each["experiment_id"] == ids[0]:
                return each
        raise Refused(NOT_FOUND, f"Experiment {ids[0]} not found")

    def _list_experiments(self, call: Call, _ids: list[str]) -> Document:
        return listed(call, self._experiments, "experiments")

    # --- runs

    def _create_run(self, call: Call, _ids: list[str]) -> Document:
        posted: Document = json.loads(call.body)
        if not posted.get("display_name"):
            raise Refused(INVALID, "$.display_name: a run must have a name")
        if "pipeline_spec" not in posted:
            raise Refused(INVALID, "$.pipeline_spec: the stand-in keeps no pipelines; post the IR")
        experiment = posted.get("experiment_id") or self._experiments[0]["experiment_id"]
        posted["experiment_id"] = self._get_experiment(call, [experiment])["experiment_id"]
        given = (posted.get("runtime_config") or {}).get("parameters") or {}
        plan = pipeline.read(posted["pipeline_spec"], given)
        number = max((run.kept["number"] for run in self._runs), default=0) + 1
        run = fresh(self._world.folder, str(uuid.uuid4()), posted, plan, number)
        run.save()  # first: what runs must be found again, whatever happens to this process
        try:
            self._execute(run)
        except TrefoilError as error:
            run.forget()
            words = f"the stand-in cannot execute this pipeline: {error}"
            raise Refused(INVALID, words) from None
        self._runs.append(run)
        return run.told()

    def _list_runs(self, call: Call, _ids: list[str]) -> Document:
        wanted = call.query.get("experiment_id")
        runs = sorted(self._runs, key=lambda run: run.kept["number"])
        told = [run.told(whole=False) for run in runs]
        return listed(
            call, [run for run in told if not wanted or run["experiment_id"] in wanted], "runs"
        )

    def _terminate(self, call: Call, ids: list[str]) -> Document:
        run = self._run(ids[0])
        if run.ended():
            raise Refused(INVALID, f"Failed to terminate run {run.id}. Row not found")
        if self._world.looking:
            return self._terminate_elsewhere(call, run)
        run.kept["cancelling"] = True
        if run.stuck:
            run.kept["ended"], run.kept["ended_at"] = "CANCELED", run.kept["created"] + 1
        run.save()
        run.execution.cancel()
        return {}

    def _terminate_elsewhere(self, call: Call, run: Run) -> Document:
        """Let the rehearsal that executes the run end it; where that was killed, end it here."""
        if not ask(self._world.folder, call.path):
            try:
                ended = run.execution.end(self._world.execution)
            except TrefoilError as error:
                raise Refused(INTERNAL, str(error)) from None
            if not ended:
                raise Refused(INTERNAL, "the rehearsal that executes it does not answer")
            run.save()
        return {}

    def _run(self, run_id: str) -> Run:
        for run in self._runs:
            if run.id == run_id:
                return run
        raise Refused(NOT_FOUND, f"Run {run_id} not found")

    def _execute(self, run: Run) -> None:
        """Begin, or go on. Raises TrefoilError."""
        scenario = self._world.scenario
        if "reason" in scenario:
            run.stuck = (scenario["reason"], scenario["message"])
            return

        def tell(event: Event) -> None:
            if run.ended():
                with contextlib.suppress(OSError):  # the run has ended well for all that
                    run.save()
            elif scenario.get("cancel") and event.step and event.state == "running":
                run.kept["cancelling"] = True
                run.execution.cancel()

        name = str(run.kept["posted"]["display_name"])
        plan, environment = self._world.environment(run)
        run.execution.start(plan, name, self._world.execution, environment, _RULES, tell)
        if run.kept.get("cancelling"):
            run.execution.cancel()

    # --- what is kept

    def _kept_experiments(self) -> list[Document]:
        if not self._file.exists():
            return [_experiment("Default", "")]
        try:
            found: list[Document] = json.loads(self._file.read_text(encoding="utf-8"))
            return [{**each, "experiment_id": str(each["experiment_id"])} for each in found]
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise _damaged(self._file, error) from None

    def _kept(self, file: Path) -> Run:
        try:
            kept = json.loads(file.read_text(encoding="utf-8"))
            given = (kept["posted"].get("runtime_config") or {}).get("parameters") or {}
            plan = pipeline.read(kept["posted"]["pipeline_spec"], given)
            return Run(self._world.folder, {**kept, "number": int(kept["number"])}, plan)
        except (OSError, ValueError, LookupError, TypeError, AttributeError, Refused) as error:
            raise _damaged(file, error) from None


def _damaged(file: Path, error: Exception) -> InputError:
    return InputError(
        f"{file} of an earlier rehearsal cannot be read ({type(error).__name__}: {error}); "
        "remove it and give the command again"
    )


def _experiment(name: str, description: str) -> Document:
    now = moment_text(time.time())
    return {
        "experiment_id": str(uuid.uuid4()),
        "display_name": name,
        "description": description,
        "created_at": now,
        "last_run_created_at": moment_text(0.0),
        "storage_state": "AVAILABLE",
    }
