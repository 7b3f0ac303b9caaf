"""Verbs that look at runs or end them: status, logs, list, cancel, why."""

from __future__ import annotations

import argparse

from infra.plan import Json, Status
from pipelines import cli
from pipelines.display import describe
from pipelines.flags import add_run
from pipelines.where import where


def configure_logs(parser: argparse.ArgumentParser) -> None:
    """Flags of ``logs``."""
    add_run(parser)
    parser.add_argument("--step", default="", metavar="NAME", help="only this step")
    parser.add_argument("-f", "--follow", action="store_true", help="until the run has ended")


def configure_why(parser: argparse.ArgumentParser) -> None:
    """Flags of ``why``."""
    parser.add_argument("step", metavar="STEP", help="name of the step")
    add_run(parser)


def status(arguments: argparse.Namespace) -> int:
    """Say where a run stands."""
    with where(arguments).reached() as here:
        found = here.provider.status(here.run(arguments.run), here.own)
    if arguments.json:
        cli.answer(_data(found))
        return cli.DONE
    print(f"{found.run.run_id} {found.state}" + (f": {found.message}" if found.message else ""))
    for event in found.steps.values():
        print(describe(event))
    return cli.DONE


def logs(arguments: argparse.Namespace) -> int:
    """Print what the steps of a run printed."""
    with where(arguments).reached() as here:
        run = here.run(arguments.run)
        lines = here.provider.logs(run, here.own, arguments.step, arguments.follow)
        if arguments.json:
            cli.answer([{"step": line.step, "text": line.text} for line in lines])
            return cli.DONE
        for line in lines:
            print(line.text if arguments.step else f"{line.step:<12} {line.text}", flush=True)
    return cli.DONE


def list_runs(arguments: argparse.Namespace) -> int:
    """List the runs of a place, newest first."""
    with where(arguments).reached() as here:
        place, own = here.provider, here.own
        found = [place.status(run, own) for run in place.list_runs(own)]
    if arguments.json:
        cli.answer([_data(each) for each in found])
        return cli.DONE
    for each in found:
        print(f"{each.run.run_id:<32} {each.state}")
    if not found:
        cli.say("there is no run here yet; start one with: python -m pipelines run")
    return cli.DONE


def cancel(arguments: argparse.Namespace) -> int:
    """End a run; to end one that has ended is no mistake."""
    with where(arguments).reached() as here:
        run = here.run(arguments.run)
        ended = here.provider.cancel(run, here.own)
    if arguments.json:
        cli.answer({"run_id": run.run_id, "cancelled": ended})
    else:
        print(f"{run.run_id} " + ("is being ended" if ended else "had ended already"))
    return cli.DONE


def why(arguments: argparse.Namespace) -> int:
    """Say why a step ran, or that nothing changed since it ran before."""
    with where(arguments).reached() as here:
        run = here.run(arguments.run)
        reasons = here.provider.why(run, here.own, arguments.step)
    if arguments.json:
        document: Json = {"run_id": run.run_id, "step": arguments.step, "reasons": [*reasons]}
        cli.answer(document)
        return cli.DONE
    for reason in reasons:
        print(reason)
    return cli.DONE


def _data(status: Status) -> Json:
    return {
        "run_id": status.run.run_id,
        "provider": status.run.provider,
        "state": status.state,
        "message": status.message,
        "steps": [
            {"name": name, "state": event.state, "seconds": event.seconds, "message": event.message}
            for name, event in status.steps.items()
        ],
    }
