"""``python -m pipelines.run``: parse, compile, lower, submit, watch."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from infra.errors import InputError
from pipelines import cli
from pipelines.flags import CHEAPEST, PLAIN, add_flags

if TYPE_CHECKING:
    from infra.plan import Json, Request
    from pipelines.request import Prepared


def main(argv: list[str] | None = None) -> int:
    """Run the pipeline; returns the exit code."""
    words = sys.argv[1:] if argv is None else argv
    return cli.guarded(lambda: run(_parser().parse_args(words)), "--json" in words)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``run``."""
    add_flags(parser)
    parser.add_argument("--dry-run", action="store_true", help="print the request, send nothing")
    parser.add_argument(
        "--rehearse", nargs="?", const=PLAIN, metavar="SCENARIO",
        help="send the request to a local cloud that validates and executes it",
    )  # fmt: skip
    parser.add_argument("--require-gate", action="store_true", help="exit 3 if the gate says no")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def run(arguments: argparse.Namespace) -> int:
    """Send what the flags ask for and watch it to its end. Raises TrefoilError."""
    from pipelines.request import prepare

    if arguments.dry_run and arguments.rehearse:
        raise InputError("--dry-run prints the request, --rehearse executes it; leave one out")
    if arguments.provider == CHEAPEST and not arguments.dry_run:
        from pipelines import cheapest

        return cheapest.run(arguments)
    prepared = prepare(arguments)
    if arguments.dry_run:
        return show(prepared.request)
    from pipelines.watch import launch

    with reached(prepared, arguments) as there:
        return launch(there, arguments)


@contextlib.contextmanager
def reached(prepared: Prepared, arguments: argparse.Namespace) -> Iterator[Prepared]:
    """See that it can be sent, and reach the place, or its stand-in. Raises TrefoilError."""
    from pipelines.checks import check_endpoint, check_gate

    place, workspace = prepared.provider, prepared.workspace
    if arguments.require_gate:
        check_gate(prepared.request.plan)
    check_endpoint(place, prepared.settings, workspace, prepared.request.plan)
    if not arguments.rehearse:
        yield prepared
        return
    runner, scenario = arguments.runner or "process", arguments.rehearse
    with place.rehearse(prepared.settings, workspace, scenario, runner, cli.say) as settings:
        yield prepared._replace(settings=settings)


def show(request: Request) -> int:
    """Print the request, whole but for secrets; the notes go to stderr."""
    for note in request.notes:
        cli.say(f"note: {note}")
    cli.answer(shown(request))
    return cli.DONE


def shown(request: Request) -> Json:
    """The request as JSON, without secrets."""
    from infra.redaction import redacted
    from infra.secrets import secret_parameters

    found = {"provider": request.provider, "run_id": request.run_id, **request.body}
    return redacted(found, secret_parameters(request.plan))


def _parser() -> cli.Parser:
    parser = cli.Parser(
        prog="python -m pipelines.run",
        description="Train, judge, register and serve a generative model, here or in a cloud.",
        epilog="Exit codes: 0 done, 1 a step failed, 2 wrong use or bad input, "
        "3 the gate said no and --require-gate was given, 130 interrupted.",
    )
    configure(parser)
    return parser


if __name__ == "__main__":
    cli.leave(main())
