"""The runs that the stand-in keeps, and what KFP's API tells of them."""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from infra.kind import argo
from infra.kind.emulator.refusal import INTERNAL
from infra.plan import FINAL, Plan, State, Step
from infra.redaction import redacted
from infra.rehearsal.executor import Execution
from infra.rehearsal.stages import Stage, stages
from infra.storage import write_whole

_OF_RUN: Mapping[State, str] = {
    "running": "RUNNING", "succeeded": "SUCCEEDED", "failed": "FAILED", "cancelled": "CANCELED",
}  # fmt: skip
_OF_STEP: Mapping[State, str] = {
    "running": "RUNNING", "succeeded": "SUCCEEDED", "cached": "SUCCEEDED", "failed": "FAILED",
    "cancelled": "FAILED", "waiting": "RUNNING",
}  # fmt: skip


class Run:
    """One run: what was posted, what became of it, and what executes it."""

    def __init__(self, folder: Path, kept: dict[str, Any], plan: Plan) -> None:
        """``kept`` is what ``save`` writes; ``folder`` is the stand-in's."""
        self.kept, self.plan = kept, plan
        self._file = folder / "records" / f"{kept['id']}.json"
        self.execution = Execution(folder, kept["id"])
        self.stuck: tuple[str, str] | None = None
        """Why no pod starts, in a scenario where none does: a reason and a message."""

    @property
    def id(self) -> str:
        """KFP's ID of the run."""
        return str(self.kept["id"])

    @property
    def workflow(self) -> str:
        """The name of Argo's workflow."""
        return f"{self.plan.name}-{self.id[:5]}"

    @property
    def spec(self) -> Mapping[str, Any]:
        """The pipeline's IR."""
        found: Mapping[str, Any] = self.plan.source["pipeline"]
        return found

    def save(self) -> None:
        """Keep it for a later command: with its secrets as long as somebody may go on with it."""
        kept = _concealed(self.kept) if self.ended() else self.kept
        self._file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self._file, json.dumps(kept), private=True)

    def forget(self) -> None:
        """Keep it no longer."""
        self._file.unlink(missing_ok=True)

    def ended(self) -> bool:
        """Whether nothing happens any more."""
        return self.state() in ("SUCCEEDED", "FAILED", "CANCELED")

    def state(self) -> str:
        """As KFP calls it."""
        if self.kept.get("ended"):
            return str(self.kept["ended"])
        whole = [m.event.state for m in self.execution.moments() if not m.event.step]
        if whole and whole[-1] in FINAL:
            return _OF_RUN[whole[-1]]
        if self.kept.get("cancelling"):
            return "CANCELING"
        return "RUNNING" if whole or self.stuck else "PENDING"

    def finished(self) -> float:
        """When it ended; 0 while it goes on."""
        if self.kept.get("ended"):
            return float(self.kept["ended_at"])
        last = [m for m in self.execution.moments() if not m.event.step]
        return (last[-1].at or 0.0) if last and last[-1].event.state in FINAL else 0.0

    def stages(self) -> dict[str, Stage]:
        """Every step that was come to."""
        found: dict[str, Stage] = {}
        if self.stuck:
            for step in self.plan.steps:
                if not step.needs() and step.when is None:
                    found.setdefault(step.name, Stage()).began = self.kept["created"]
        return found | stages(self.execution.moments())

    def told(self, whole: bool = True) -> dict[str, Any]:
        """The run as the API returns it; ``whole`` with its tasks."""
        posted: dict[str, Any] = self.kept["posted"]
        state, finished = self.state(), self.finished()
        history = [{"update_time": moment_text(self.kept["created"]), "state": "PENDING"}]
        if finished:
            history.append({"update_time": moment_text(finished), "state": state})
        found: dict[str, Any] = {
            **posted,
            "run_id": self.id,
            "storage_state": "AVAILABLE",
            "service_account": posted.get("service_account", "pipeline-runner"),
            "created_at": moment_text(self.kept["created"]),
            "scheduled_at": moment_text(self.kept["created"]),
            "finished_at": moment_text(finished),
            "state": state,
            "state_history": history,
        }
        if words := self._fault():
            found["error"] = {"code": INTERNAL, "message": words}
        if whole:
            found["run_details"] = {"task_details": list(self._details())}
        return found

    def _fault(self) -> str:
        """Why the run failed, where that was no step's doing."""
        events = [each.event for each in self.execution.moments()]
        if not events or (events[-1].step, events[-1].state) != ("", "failed"):
            return ""
        return (
            ""
            if any(each.step and each.state == "failed" for each in events)
            else events[-1].message
        )

    def pods(self) -> Iterator[tuple[str, Step, int]]:
        """Every pod there was: its name, its step, and which attempt, from 1."""
        for name, stage in self.stages().items():
            step = self.plan.step(name)
            if stage.event.state in ("cached", "skipped"):
                continue
            for attempt in range(len(stage.failures) + 1):
                yield self.pod(step, attempt), step, attempt + 1

    def pod(self, step: Step, attempt: int) -> str:
        """The pod of an attempt, from 0."""
        node = argo.node_name(step, self.spec, self.workflow)
        executor = argo.executor_name(node, attempt if step.retry.limit else None)
        return argo.pod_name(executor, self.workflow, step)

    # --- Argo's nodes, as task details

    def _details(self) -> Iterator[dict[str, Any]]:
        stages = self.stages()
        for name, stage in stages.items():
            yield from self._of_step(self.plan.step(name), stage)
        yield from self._of_groups(stages)

    def _of_step(self, step: Step, stage: Stage) -> Iterator[dict[str, Any]]:
        state = stage.event.state
        task = step.task[-1]
        if state == "skipped":
            if "condition" not in stage.event.message:
                yield self._detail(f"{task}-driver", "RUNTIME_STATE_UNSPECIFIED")
                yield self._detail(task, "RUNTIME_STATE_UNSPECIFIED")
            return
        node = argo.node_name(step, self.spec, self.workflow)
        executor = argo.executor_name(node)
        yield self._detail(f"{task}-driver", "SUCCEEDED", stage.began, stage.began)
        yield self._detail(task, _OF_STEP[state], stage.began, stage.ended, [executor])
        ran = "SKIPPED" if state == "cached" else "PENDING" if self.stuck else _OF_STEP[state]
        if not step.retry.limit or state == "cached":
            yield self._detail("executor", ran, stage.began, stage.ended)
            return
        failed = [self.pod(step, attempt) for attempt in range(len(stage.failures))]
        failed += [self.pod(step, len(failed))] if state == "failed" else []
        tries = [argo.executor_name(node, at) for at in range(len(stage.failures) + 1)]
        whole = self._detail("executor", ran, stage.began, stage.ended, tries)
        if failed:
            whole["executor_detail"] = {"failed_main_jobs": failed}
        yield whole
        for at in range(len(tries)):
            of_try = "FAILED" if at < len(stage.failures) else ran
            yield self._detail(f"executor({at})", of_try, stage.began, stage.ended)

    def _of_groups(self, stages: Mapping[str, Stage]) -> Iterator[dict[str, Any]]:
        groups: dict[tuple[str, ...], list[Stage]] = {}
        for name, stage in stages.items():
            task = self.plan.step(name).task
            for depth in range(len(task)):
                groups.setdefault(task[:depth], []).append(stage)
        for path, inner in groups.items():
            name = path[-1] if path else "root"
            yield self._detail(f"{name}-driver", "SUCCEEDED", inner[0].began, inner[0].began)
            yield self._detail(name, _of_group(inner), inner[0].began)

    def _detail(
        self,
        name: str,
        state: str,
        began: float = 0.0,
        ended: float = 0.0,
        children: list[str] | None = None,
    ) -> dict[str, Any]:
        found: dict[str, Any] = {
            "run_id": self.id,
            "display_name": name,
            "create_time": moment_text(self.kept["created"]),
            "start_time": moment_text(began),
            "end_time": moment_text(ended),
            "state": state,
        }
        if children:
            ids = [argo.node_id(child, self.workflow) for child in children]
            found["child_tasks"] = [{"pod_name": each} for each in ids]
        return found


def moment_text(at: float) -> str:
    """A time as KFP writes it; its zero is Go's."""
    if not at:
        return "0001-01-01T00:00:00Z"
    text = datetime.datetime.fromtimestamp(at, datetime.UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def fresh(folder: Path, run_id: str, posted: dict[str, Any], plan: Plan, number: int) -> Run:
    """A run that has just been posted."""
    kept = {"id": run_id, "number": number, "created": round(time.time(), 3), "posted": posted}
    return Run(folder, kept, plan)


def _concealed(kept: Any, clean: Any = None) -> Any:
    """What is kept, its secrets hidden; but a number stays one, or no parameter would take it."""
    clean = redacted(kept) if clean is None else clean
    if isinstance(kept, dict):
        return {name: _concealed(value, clean[name]) for name, value in kept.items()}
    if isinstance(kept, list):
        return [_concealed(*pair) for pair in zip(kept, clean, strict=True)]
    return clean if isinstance(kept, str) else kept


def _of_group(inner: list[Stage]) -> str:
    states = {stage.event.state for stage in inner}
    if states & {"failed", "cancelled"}:
        return "FAILED"
    if states & {"running", "waiting"}:
        return "RUNNING"
    return "SKIPPED" if states == {"skipped"} else "SUCCEEDED"
