"""Exit handlers: started once all else of a run has ended, whoever sees that first."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from infra.cloud.looking import Look
from infra.plan import FINAL, FinalStatus, Json, Plan, Step


def due(plan: Plan, look: Look, handlers: Collection[str]) -> Iterator[Step]:
    """Those of the steps named that can begin now: all else, and those before them, have ended."""
    if look.main not in FINAL:
        return
    for step in plan.steps:
        if step.name not in handlers or step.name in look.tasks:
            continue
        before = [name for name in step.needs() if name in handlers]
        if all(name in look.tasks and look.tasks[name].state in FINAL for name in before):
            yield step


def final_status(step: Step, look: Look, run_id: str) -> dict[str, Json] | None:
    """KFP's PipelineTaskFinalStatus for a step; None where it does not ask for it."""
    told = [each for each in step.inputs.values() if isinstance(each, FinalStatus)]
    if not told:
        return None
    states = {name: look.tasks[name].state for name in told[0].steps if name in look.tasks}
    failed = [name for name, state in states.items() if state == "failed"]
    cancelled = "cancelled" in states.values()
    words = "; ".join(look.tasks[name].words for name in failed)
    return {
        "state": "FAILED" if failed else "CANCELLED" if cancelled else "SUCCEEDED",
        "pipelineJobResourceName": run_id,
        "pipelineTaskName": told[0].task,
        "error": {"code": 1, "message": words} if failed else {},
    }
