"""Checkpoints of a step that is tried again: a folder in the claim that several nodes share, too.

Pods leave nothing behind. What they keep there, the next attempt of the step finds, and so does
the same run when it is started anew. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator

from infra.kind import KindSettings
from infra.kind.job_manifests import WORK, job_name
from infra.plan import Plan, Step

CHECKPOINTS = "TREFOIL_CHECKPOINTS"


def kept(plan: Plan, settings: KindSettings, run_id: str) -> dict[str, dict[str, str]]:
    """Of each step that keeps checkpoints, the variable that tells it where.

    Iterations of a loop are one container to KFP, and would share a folder; several nodes have one
    of their own (``shared``).
    """
    return {
        step.name: {CHECKPOINTS: f"{WORK}/{job_name(run_id, step.name)}/checkpoints"}
        for step in _tried_again(plan)
        if settings.work_claim and not _in_a_loop(step, plan)
    }


def notes(plan: Plan, settings: KindSettings) -> Iterator[str]:
    """Whose attempts begin from nothing, and why."""
    for step in _tried_again(plan):
        if not settings.work_claim:
            yield f"step {step.name}: a retry starts anew, for the setting work_claim is empty"
        elif _in_a_loop(step, plan):
            yield f"step {step.name}: a retry starts anew, for its loop has one folder for all"


def _tried_again(plan: Plan) -> Iterator[Step]:
    return (each for each in plan.steps if each.retry.limit and each.resources.nodes == 1)


def _in_a_loop(step: Step, plan: Plan) -> bool:
    return sum(each.task == step.task for each in plan.steps) > 1
