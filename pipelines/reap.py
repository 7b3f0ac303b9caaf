"""``python -m pipelines reap``: end and remove what runs left in a cloud."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

from infra.plan import RunRef
from pipelines import cli
from pipelines.flags import add_place
from pipelines.where import where


def configure(parser: argparse.ArgumentParser) -> None:
    """Flags of ``reap``."""
    parser.add_argument("run", nargs="?", metavar="RUN", help="id of the run (default: list all)")
    parser.add_argument("--data", action="store_true", help="remove what the run stored, too")
    add_place(parser)


def reap(arguments: argparse.Namespace) -> int:
    """End a run and remove what it left; without a run, say what there is."""
    with where(arguments).reached() as here:
        if arguments.run:
            run = RunRef(here.provider.name, arguments.run)
            _tell(here.provider.reap(run, here.own, data=arguments.data), arguments.json)
        else:
            _list(here.provider.left(here.own), arguments.json)
    return cli.DONE


def _tell(did: Sequence[str], as_json: bool) -> None:
    if as_json:
        cli.answer([*did])
        return
    for line in did or ["nothing was left"]:
        print(line)


def _list(found: Mapping[str, Sequence[str]], as_json: bool) -> None:
    if as_json:
        cli.answer({run_id: [*things] for run_id, things in found.items()})
        return
    for run_id, things in found.items():
        print(f"{run_id:<32} {', '.join(things)}")
    cli.say("`reap RUN` ends and removes what is left of it" if found else "nothing is left")
