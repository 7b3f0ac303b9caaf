"""One case in one place: every verb of the seam is used, and what each answered is kept."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, NamedTuple

from infra import ir
from infra.errors import UnsupportedError
from infra.history import History
from infra.plan import DONE, Event, Json, LogLine, Plan, Request, RunRef, State, Status, to_data
from infra.storage import tree, tree_digest
from pipelines import compile
from tests.conformance.cases import Case, Value, bound
from tests.conformance.places import Place

ROOT = Path(__file__).parents[2]
WAITS = "waiting"
"""What the step of the plan ``slow`` prints once it runs."""


class Trial(NamedTuple):
    """What the verbs answered for one case in one place."""

    request: Request
    run: RunRef
    events: list[Event]
    status: Status
    logs: list[LogLine]
    left: dict[str, dict[str, Value]]
    digests: dict[str, str]
    history: History
    why: dict[str, list[str]]
    listed: list[RunRef]
    price: float
    again: tuple[RunRef, State, list[RunRef]] | None = None
    """The same request once more: the run that it led to, how it ended, and all runs then."""


def compiled(folder: Path) -> Path:
    """Compile every plan into a folder; returns it."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.conformance.plans", str(folder)]
    subprocess.run(command, check=True, cwd=ROOT)
    return folder


def plan_of(case: Case, irs: Path, folder: Path) -> Plan:
    """The case's plan, bound to its parameters."""
    document = compile.load(str(irs / f"{case.pipeline}.yaml"), folder)
    return case.change(ir.read(document, bound(case, folder)))


def refusal(place: Place, plan: Plan, folder: Path) -> str:
    """Why the place does not take the plan, said before anything is sent; empty where it does."""
    settings = place.settled(folder)
    try:
        place.provider.lower(plan, settings, "conformance-0")
    except UnsupportedError as error:
        return str(error)
    return ""


def attempt(place: Place, plan: Plan, folder: Path) -> Trial:
    """Run the plan in the place and ask everything that can be asked of a run."""
    workspace = folder / "workspace"
    with place.settings(workspace) as settings:
        provider = place.provider
        request = provider.lower(plan, settings, f"{plan.name}-conformance")
        run = provider.submit(request, settings, dict)
        events = list(provider.follow(run, settings))
        outputs = provider.outputs(run, settings)
        status = provider.status(run, settings)
        ran = [name for name, event in status.steps.items() if event.state in (*DONE, "failed")]
        found = Trial(
            request=request,
            run=run,
            events=events,
            status=status,
            logs=list(provider.logs(run, settings, "", follow=False)),
            left={step: _read(plan, step, found) for step, found in outputs.items()},
            digests=_digests(plan, outputs),
            history=provider.history(run, settings),
            why={name: provider.why(run, settings, name) for name in ran},
            listed=provider.list_runs(settings),
            price=provider.price(plan, settings),
        )
        again = provider.submit(request, settings, dict)
        last = list(provider.follow(again, settings))[-1]
        return found._replace(again=(again, last.state, provider.list_runs(settings)))


def cancelled(place: Place, plan: Plan, folder: Path) -> tuple[list[Event], bool, bool]:
    """Run a plan that waits, cancel it once its step runs, and cancel it again.

    Returns the events, and what each of the two cancels answered.
    """
    answers: list[bool] = []
    with place.settings(folder / "workspace") as settings:
        provider = place.provider
        run = provider.submit(
            provider.lower(plan, settings, f"{plan.name}-conformance"), settings, dict
        )

        def cancel() -> None:
            while not any(line.text == WAITS for line in provider.logs(run, settings, "", False)):
                threading.Event().wait(0.05)
            answers.append(provider.cancel(run, settings))

        thread: threading.Thread | None = None
        events = []
        for event in provider.follow(run, settings):
            events.append(event)
            if event.step and event.state == "running" and thread is None:
                thread = threading.Thread(target=cancel)
                thread.start()
        if thread:
            thread.join()
        return events, answers[0], provider.cancel(run, settings)


def spelled(request: Request) -> Json:
    """A request as data, for comparing two."""
    return {"body": to_data(request.body), "notes": list(request.notes)}


def _read(plan: Plan, step: str, found: Any) -> dict[str, Value]:
    """Values as they are, artefacts by their text."""
    artifacts = plan.step(step).artifacts
    return {
        name: Path(value).read_text(encoding="utf-8") if name in artifacts else value
        for name, value in found.items()
    }


def _digests(plan: Plan, outputs: Any) -> dict[str, str]:
    return {
        f"{step}.{name}": tree_digest(tree(Path(found[name])))
        for step, found in sorted(outputs.items())
        for name in plan.step(step).artifacts
        if name in found
    }
