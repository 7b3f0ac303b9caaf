"""What there is to say about a run, asked of its provider. What cannot be read is noted."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from components.spool import event_of
from infra.errors import TrefoilError
from infra.history import History, Moment, commits
from infra.plan import DONE, FINAL, Event, Json, Plan, RunRef, State, Step, as_text
from infra.provider import Provider
from infra.storage import tree, tree_digest
from pipelines.ledger import Ledger, Line

Found = TypeVar("Found")

_LOG_LINES = 40
_LOG_WIDTH = 400
_HASHED = 2 * 10**9
"""Bytes of an artefact beyond which its digest is not reckoned: reading them takes too long."""


class StepFacts(NamedTuple):
    """One step: what the plan says of it, and what became of it. ``step`` is None without a plan.

    ``log`` has its last lines, where it ended badly.
    """

    name: str
    event: Event
    step: Step | None = None
    needs: tuple[str, ...] = ()
    cpu_seconds: float | None = None
    peak_mb: float | None = None
    values: Mapping[str, Json] = {}
    log: tuple[str, ...] = ()

    @property
    def state(self) -> State:
        """The state it is in."""
        return self.event.state


class Artefact(NamedTuple):
    """A file or directory that a step left.

    ``path`` is None where it does not lie on this machine. ``files`` maps names to [size, SHA-256],
    as ``storage.tree`` does; None where they were not read.
    """

    step: str
    name: str
    place: str
    kind: str = ""
    path: Path | None = None
    files: Mapping[str, list[Json]] | None = None
    digest: str = ""


class Facts(NamedTuple):
    """Everything that the report shows, but for what is read from the artefacts themselves."""

    run: RunRef
    state: State
    message: str
    plan: Plan | None
    pipeline: str
    digest: str
    event: str
    cause: str
    commits: list[str]
    begun: float | None
    now: float
    steps: list[StepFacts]
    moments: tuple[Moment, ...]
    artefacts: list[Artefact]
    notes: tuple[str, ...]
    problems: list[str]

    def output(self, name: str) -> str:
        """An output parameter that the contract names (version, url), whichever step made it."""
        found = [step.values[name] for step in self.steps if name in step.values]
        return as_text(found[-1]) if found else ""


def gather(place: Provider, own: Any, run: RunRef, workspace: Path) -> Facts:
    """Ask for everything. Raises InputError on an unknown run."""
    problems: list[str] = []
    status = place.status(run, own)
    history = place.history(run, own)
    plan = history.plan
    if plan is None:
        problems.append("the plan of this run cannot be read: only what happened is shown")
    nothing: Mapping[str, Mapping[str, Json]] = {}
    outputs = _ask(lambda: place.outputs(run, own), nothing, "the outputs", problems)
    steps = [
        _step(name, status.steps, history, outputs.get(name, {})) for name in _names(plan, status)
    ]
    steps = [step._replace(log=_log(place, own, run, step, problems)) for step in steps]
    sent = _ledger(workspace, run)
    at = next((m.at for m in history.moments if m.at is not None), sent.at or None)
    return Facts(
        run=run,
        state=status.state,
        message=status.message,
        plan=plan,
        pipeline=plan.name if plan else run.run_id.rsplit("-", 2)[0],
        digest=sent.plan,
        event=sent.event or event_of(run.run_id),
        cause=sent.cause,
        commits=commits(history.moments),
        begun=at,
        now=time.time(),
        steps=steps,
        moments=history.moments,
        artefacts=list(_artefacts(steps, outputs, problems)),
        notes=_ask(lambda: _notes(place, own, plan, run), (), "the notes", problems),
        problems=problems,
    )


def _names(plan: Plan | None, status: Any) -> list[str]:
    planned = [step.name for step in plan.steps] if plan else []
    return [*planned, *(name for name in status.steps if name not in planned)]


def _step(
    name: str, states: Mapping[str, Event], history: History, outputs: Mapping[str, Json]
) -> StepFacts:
    planned = history.plan.steps if history.plan else ()
    step = next((step for step in planned if step.name == name), None)
    event = states.get(name, Event(name, "waiting"))
    ended = [m for m in history.moments if m.event.step == name and m.event.state in FINAL]
    last = ended[-1] if ended and event.state in FINAL else Moment(event)
    values = {key: value for key, value in outputs.items() if not step or key in step.parameters}
    if step is None:  # nothing tells a value from a path: show what is no path
        values = {key: value for key, value in values.items() if not _is_path(value)}
    needs = step.needs() if step else ()
    return StepFacts(name, event, step, needs, last.cpu_seconds, last.peak_mb, values)


def _artefacts(
    steps: list[StepFacts], outputs: Mapping[str, Mapping[str, Json]], problems: list[str]
) -> Iterator[Artefact]:
    for each in steps:
        left = outputs.get(each.name, {})
        kinds = dict(each.step.artifacts) if each.step else {}
        if each.state in DONE and each.step:
            for name in [*each.step.parameters, *kinds]:
                if name not in left:
                    problems.append(f"the output {name} of {each.name} is gone or damaged")
        for name, value in left.items():
            if name in kinds or (each.step is None and _is_path(value)):
                found = Artefact(each.name, name, as_text(value), kinds.get(name, ""))
                yield _looked_at(found, problems)


def _looked_at(found: Artefact, problems: list[str]) -> Artefact:
    """The artefact with its files, where they lie here. Special files are not opened."""
    if "://" in found.place:
        return found
    path, label = Path(found.place), f"the output {found.name} of {found.step}"
    try:
        if not path.exists():
            problems.append(f"{label} is gone: there is no {path}")
            return found
        inside = [path] if path.is_file() else list(path.rglob("*"))
        if any(not (each.is_file() or each.is_dir()) for each in inside):
            problems.append(f"{label} holds what is no file; its digest is not shown")
            return found._replace(path=path)
        if sum(each.stat().st_size for each in inside) > _HASHED:
            return found._replace(path=path)
        files = tree(path)
    except OSError as error:
        problems.append(f"{label} cannot be read: {error}")
        return found
    return found._replace(path=path, files=files, digest=tree_digest(files))


def _log(
    place: Provider, own: Any, run: RunRef, step: StepFacts, problems: list[str]
) -> tuple[str, ...]:
    if step.state not in ("failed", "cancelled") or not step.event.seconds:
        return ()  # it ended well, or never began

    def last() -> tuple[str, ...]:
        lines = place.logs(run, own, step.name, follow=False)
        return tuple(line.text[:_LOG_WIDTH] for line in deque(lines, _LOG_LINES))

    return _ask(last, (), f"the log of {step.name}", problems)


def _notes(place: Provider, own: Any, plan: Plan | None, run: RunRef) -> tuple[str, ...]:
    return place.lower(plan, own, run.run_id).notes if plan else ()


def _ledger(workspace: Path, run: RunRef) -> Line:
    """The first intent, where this workspace sent the run; else a line that tells nothing."""
    for line in Ledger(workspace).lines(containing=run.run_id):
        if (line.run_id, line.provider) == run[::-1]:
            return line
    return Line("intent", run.run_id, run.provider, "", 0)


def _ask(question: Callable[[], Found], otherwise: Found, what: str, problems: list[str]) -> Found:
    """An answer, or ``otherwise`` and a note: one thing that is damaged must not hide the rest."""
    try:
        return question()
    except (TrefoilError, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        reason = str(error) if isinstance(error, TrefoilError | OSError) else repr(error)
        problems.append(f"{what} cannot be read: {reason}")
        return otherwise


def _is_path(value: Json) -> bool:
    if not isinstance(value, str) or value.startswith(("http://", "https://")):
        return False
    return "://" in value or ("/" in value and os.path.exists(value))  # noqa: PTH110  never raises
