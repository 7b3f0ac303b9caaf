"""Launches a request and watches it to its end."""

from __future__ import annotations

import argparse
import contextlib
import functools
from pathlib import Path
from typing import Literal, NamedTuple

from infra.errors import unwritable
from infra.plan import FINAL, Event, RunRef
from infra.provider import Context
from infra.redaction import redacted
from infra.secrets import secret_parameters
from pipelines import cli
from pipelines.display import display
from pipelines.ledger import Ledger, Line
from pipelines.request import Prepared
from pipelines.result import Result, collect, tell
from pipelines.tracking import sending


class Finished(NamedTuple):
    """What a run came to, and its last event."""

    result: Result
    last: Event


def launch(prepared: Prepared, arguments: argparse.Namespace) -> int:
    """Submit, follow to the end, tell the result; returns the exit code."""
    return present(finish(prepared), arguments)


def present(finished: Finished, arguments: argparse.Namespace) -> int:
    """Tell what a run came to; returns the exit code."""
    if arguments.json:
        cli.answer(finished.result.data())
    else:
        tell(finished.result, arguments)
    return exit_code(finished.result, finished.last, arguments.require_gate)


def give_up(prepared: Prepared, last: Event) -> None:
    """Note that a run that could not be launched has ended."""
    _note(prepared, "finished", last)


def finish(prepared: Prepared) -> Finished:
    """Submit and follow to the end."""
    _note(prepared, "intent")
    context = functools.cache(lambda: _context(prepared))
    run = prepared.provider.submit(prepared.request, prepared.settings, context)
    _note(prepared, "submitted")
    for note in prepared.request.notes:
        cli.say(f"note: {note}")
    try:
        with _tracked(prepared, context):
            last = _follow(prepared, run)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"no longer watched; the same command watches {run.run_id} again"
        ) from None
    if last.state in FINAL:
        _note(prepared, "finished", last)
    _close_tracking(_spool(prepared), last)
    return Finished(collect(prepared, run, last), last)


def _context(prepared: Prepared) -> dict[str, str]:
    """What every step finds in its environment, whatever it does."""
    workspace = prepared.workspace
    found = {
        "TREFOIL_PROVIDER": prepared.provider.name,
        "TREFOIL_PLAN_DIGEST": prepared.digest,
        "TREFOIL_GIT_COMMIT": _commit(),
        "TREFOIL_WORKSPACE": str(workspace),
    }
    if prepared.common.tracking_uri != "none":
        from infra.mlflow import address

        given = prepared.common.tracking_uri
        found["MLFLOW_TRACKING_URI"] = address({**found, "MLFLOW_TRACKING_URI": given})
        found["MLFLOW_EXPERIMENT_NAME"] = prepared.common.experiment
        found["TREFOIL_TRACKING"] = str(_spool(prepared))
    return found


def _spool(prepared: Prepared) -> Path:
    return prepared.workspace / "tracking" / prepared.request.run_id


def _follow(prepared: Prepared, run: RunRef) -> Event:
    last = Event("", "waiting")
    with display(prepared, run) as show:
        for event in prepared.provider.follow(run, prepared.settings):
            show(event)
            if not event.step:
                last = event
    return last


def _tracked(prepared: Prepared, context: Context) -> contextlib.AbstractContextManager[None]:
    if prepared.common.tracking_uri == "none":
        return contextlib.nullcontext()
    plan = prepared.request.plan
    parameters = redacted(dict(plan.parameters), secret_parameters(plan))
    return sending(_spool(prepared), context, parameters)


def _close_tracking(spool: Path, last: Event) -> None:
    """Tell the sender, where steps have tracked anything, that no more will come."""
    if spool.is_dir():
        from components import tracking

        tracking.finish(spool, last.state)


def _note(
    prepared: Prepared,
    step: Literal["intent", "submitted", "finished"],
    last: Event | None = None,
) -> None:
    request = prepared.request
    state = last.state if last else ""
    line = Line(
        step, request.run_id, request.provider, prepared.digest, prepared.attempt, state,
        event=prepared.event, cause=prepared.cause, scenario=prepared.scenario,
    )  # fmt: skip
    try:
        Ledger(prepared.workspace).append(line)
    except OSError as error:
        raise unwritable(prepared.common.workspace, error) from error


def _commit() -> str:
    """The commit of the code, with + behind it where files differ; empty outside of git."""
    import subprocess

    try:
        run = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--dirty=+", "--exclude=*"],
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return ""
    return run.stdout.strip() if run.returncode == 0 else ""


def exit_code(result: Result, last: Event, require_gate: bool) -> int:
    """What a run that came to this ends the command with."""
    if last.state == "cancelled":
        return cli.INTERRUPTED
    if last.state != "succeeded":
        return last.code or cli.FAILED
    return cli.GATE if require_gate and result.passed is not True else cli.DONE
