"""The metadata store of the stand-in: what KFP's driver and launcher would have noted there."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from infra.kind import argo
from infra.kind.argo import Path
from infra.kind.emulator.runs import Run
from infra.kind.metadata import CONTENT, OUTPUT, RUN, STATES, framed, message, unframed
from infra.plan import DONE, State, Step
from infra.rehearsal.server import Answer
from infra.rehearsal.stages import Stage

BUCKET = "mlpipeline"
_MANY = 10_000
"""More than a run has executions; and an execution, artefacts."""
_STATES: Mapping[State, str] = {
    "succeeded": "COMPLETE", "cached": "CACHED", "failed": "FAILED", "skipped": "CANCELED",
}  # fmt: skip


class _Note(NamedTuple):
    """One execution: a step with its stage, or a group of them."""

    id: int
    path: Path
    step: Step | None
    stage: Stage | None
    state: str


class Store:
    """Answers for all runs there are."""

    def __init__(self, runs: Callable[[], list[Run]]) -> None:
        self._runs = runs
        self._methods: Mapping[str, Callable[[Any, Any], None]] = {
            "GetContextByTypeAndName": self._context,
            "GetExecutionsByContext": self._executions,
            "GetEventsByExecutionIDs": self._events,
            "GetArtifactsByID": self._artifacts,
        }

    def answer(self, method: str, body: bytes) -> Answer:
        """What a call of gRPC-web is answered."""
        if method not in self._methods:
            told = f"grpc-status:12\r\ngrpc-message:the stand-in does not do {method}\r\n"
            return Answer(200, framed(told.encode(), trailer=True), CONTENT)
        asked, found = message(f"{method}Request")(), message(f"{method}Response")()
        asked.ParseFromString(unframed(body))
        self._methods[method](asked, found)
        content = framed(found.SerializeToString()) + framed(b"grpc-status:0\r\n", trailer=True)
        return Answer(200, content, CONTENT)

    def _context(self, asked: Any, found: Any) -> None:
        for run in self._runs():
            if asked.type_name == RUN and asked.context_name == run.id:
                found.context.id, found.context.name = run.kept["number"], run.id
                found.context.type = RUN

    def _executions(self, asked: Any, found: Any) -> None:
        run = self._run(asked.context_id)
        if run is None:
            return
        notes = _notes(run)  # once: the run goes on meanwhile
        ids = {note.path: note.id for note in notes}
        for note in notes:
            made = found.executions.add(id=note.id, last_known_state=STATES.index(note.state))
            _tell(made, run, note, ids)

    def _events(self, asked: Any, found: Any) -> None:
        for number in asked.execution_ids:
            note = self._note(number)
            if note and note.step and note.stage and note.stage.event.state in DONE:
                for at, name in enumerate(note.step.artifacts):
                    event = found.events.add(execution_id=number, type=OUTPUT)
                    event.artifact_id = number * _MANY + at
                    event.path.steps.add(key=name)

    def _artifacts(self, asked: Any, found: Any) -> None:
        for number in asked.artifact_ids:
            execution, at = divmod(number, _MANY)
            run, note = self._run(execution // _MANY), self._note(execution)
            if run and note and note.step:
                name = list(note.step.artifacts)[at]
                found.artifacts.add(id=number, uri=f"minio://{BUCKET}/{key(run, note.step, name)}")

    def _run(self, number: int) -> Run | None:
        return next((run for run in self._runs() if run.kept["number"] == number), None)

    def _note(self, number: int) -> _Note | None:
        run = self._run(number // _MANY)
        return next((note for note in _notes(run) if note.id == number), None) if run else None


def key(run: Run, step: Step, output: str) -> str:
    """Where KFP's launcher puts an artefact in the bucket."""
    salt = uuid.uuid5(uuid.NAMESPACE_OID, f"{run.id}/{step.name}")
    return f"v2/artifacts/{run.plan.name}/{run.id}/{step.task[-1]}/{salt}/{output}"


def _notes(run: Run) -> list[_Note]:
    """The root, the groups that were come to, and the steps."""
    stages = run.stages()
    paths = {step.name: argo.path_of(step, run.spec) for step in run.plan.steps}
    first = run.kept["number"] * _MANY
    numbers: dict[Path, int] = {}
    found: list[_Note] = []
    for name, path in paths.items():  # in the order of the plan, so that numbers stay
        for depth in range(len(path) + 1):
            numbers.setdefault(path[:depth], first + len(numbers) + 1)
        if name not in stages:
            continue
        for depth in range(len(path)):
            group = path[:depth]
            if all(note.path != group for note in found):
                inner = [s for each, s in stages.items() if paths[each][:depth] == group]
                found.append(_Note(numbers[group], group, None, None, _of_group(inner)))
        stage = stages[name]
        if stage.event.state != "skipped":
            state = _STATES.get(stage.event.state, "RUNNING")
            found.append(_Note(numbers[path], path, run.plan.step(name), stage, state))
    return found


def _of_group(inner: list[Stage]) -> str:
    by_condition = [s.event.state == "skipped" and "condition" in s.event.message for s in inner]
    if inner and all(by_condition):
        return "CANCELED"
    states = {stage.event.state for stage in inner}
    if "failed" in states:
        return "FAILED"
    return "COMPLETE" if states <= {*DONE, "skipped"} else "RUNNING"


def _tell(made: Any, run: Run, note: _Note, ids: Mapping[Path, int]) -> None:
    own = made.custom_properties
    made.type = "system.ContainerExecution" if note.step else "system.DAGExecution"
    names = [part for part in note.path if isinstance(part, str)]
    own["task_name"].string_value = names[-1] if names else ""
    own["display_name"].string_value = names[-1] if names else ""
    if note.path:
        own["parent_dag_id"].int_value = ids[note.path[:-1]]
        if isinstance(note.path[-1], int):
            own["iteration_index"].int_value = note.path[-1]
    began = note.stage.began if note.stage else run.kept["created"]
    ended = note.stage.ended if note.stage else 0.0
    made.create_time_since_epoch = round(began * 1000)
    made.last_update_time_since_epoch = round((ended or began) * 1000)
    if note.step is None or note.stage is None:
        return
    state = note.stage.event.state
    own["pod_name"].string_value = "" if state in ("cached", "waiting") else _pod(run, note)
    if state in DONE:
        own["outputs"].struct_value.update(dict(_outputs(run, note.step)))


def _pod(run: Run, note: _Note) -> str:
    return run.pod(note.step, len(note.stage.failures)) if note.step and note.stage else ""


def _outputs(run: Run, step: Step) -> Iterator[tuple[str, Any]]:
    entry = run.execution.entry(step.name)
    yield from (entry.values.items() if entry else ())
