"""What ran before, as the place itself remembers it: a runner of GitHub's has no memory."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from typing import NamedTuple

from infra.errors import InputError
from infra.history import commits
from infra.images.catalogue import CONTENTS
from infra.plan import FINAL, Plan, RunRef, State, as_text
from pipelines import cli
from pipelines.request import Prepared

_SHOWN = 3
_DATA = "data_md5"
_COMMIT = re.compile(r"[0-9a-f]{40,64}")


class Past(NamedTuple):
    """A run of the same model. ``commit`` is of its code, empty where the place does not tell."""

    run: RunRef
    state: State
    plan: Plan
    commit: str
    ended: float | None


def made(prepared: Prepared) -> RunRef | None:
    """The run that this event made, whatever its plan was."""
    runs = prepared.provider.list_runs(prepared.settings)
    return next((run for run in runs if run.run_id.endswith(f"-{prepared.event}")), None)


def last(prepared: Prepared) -> Past | None:
    """The newest run of this model that succeeded, or that goes on by the same plan.

    Raises TrefoilError where the place does not answer: then nobody knows, and nothing is trained.
    """
    return next(_runs(prepared), None)


def _runs(prepared: Prepared) -> Iterator[Past]:
    place, own, plan = prepared.provider, prepared.settings, prepared.request.plan
    for run in place.list_runs(own):
        if not run.run_id.startswith(f"{plan.name}-"):
            continue
        try:
            state = place.status(run, own).state
            if state != "succeeded" and (state in FINAL or not _same_plan(run, prepared)):
                continue
            history = place.history(run, own)
        except InputError as error:  # removed meanwhile, or damaged: nothing says it succeeded
            cli.say(f"note: {run.run_id} does not count as a run before: {error}")
            continue
        if history.plan is None or model(history.plan) != model(plan):
            continue
        told = [moment.at for moment in history.moments if moment.at is not None]
        commit = (commits(history.moments) or [""])[-1]
        yield Past(run, state, history.plan, commit, told[-1] if told else None)


def model(plan: Plan) -> str:
    """The model that a plan is of; of a pipeline that names none, its own name."""
    return as_text(plan.parameters.get("model_name", plan.name))


def since(past: Past, prepared: Prepared, *, pins_alone: bool) -> list[str]:
    """What changed since that run: data, recipe, anything of the plan, and the code of steps.

    With ``pins_alone`` only the data, where the pipeline knows them by their MD5.
    """
    if _same_plan(past.run, prepared):
        return [] if pins_alone else _code(past.commit)
    found = list(_parameters(past.plan, prepared))
    if pins_alone and _DATA in past.plan.parameters:
        return [each for each in found if each.startswith(_DATA)]
    return [*found, *_code(past.commit)]


def _same_plan(run: RunRef, prepared: Prepared) -> bool:
    return run.run_id.startswith(f"{prepared.request.plan.name}-{prepared.digest[:8]}-")


def _parameters(before: Plan, prepared: Prepared) -> Iterator[str]:
    old, new = before.parameters, prepared.request.plan.parameters
    changed = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    for name in changed:
        was, now = (as_text(each.get(name)) or "nothing" for each in (old, new))
        yield f"{name} from {was} to {now}"
    if not changed:
        yield "the pipeline itself"


def _code(commit: str) -> list[str]:
    """What git finds changed of that of which images are made, since a commit."""
    if not commit:
        return []
    if commit.endswith("+"):
        return [f"the code, perhaps: it was {commit[:12]} with uncommitted changes"]
    if not _COMMIT.fullmatch(commit):
        return ["the code, perhaps: its commit is not told in full"]
    words = ["git", "diff", "--name-only", commit, "--", *CONTENTS]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise InputError("whether code changed is asked of git, which is not on PATH") from None
    if done.returncode:
        return [f"the code, perhaps: this checkout does not have its commit {commit[:12]}"]
    files = done.stdout.splitlines()
    more = f" and {len(files) - _SHOWN} more" if len(files) > _SHOWN else ""
    return [f"the code: {', '.join(files[:_SHOWN])}{more}"] if files else []
