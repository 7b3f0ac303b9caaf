"""``python -m pipelines.run``: parse, compile, lower, submit, watch."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from infra.errors import InputError
from pipelines import cli
from pipelines.flags import add_flags

if TYPE_CHECKING:
    from infra.plan import Request


def main(argv: list[str] | None = None) -> int:
    """Run the pipeline; returns the exit code."""
    words = sys.argv[1:] if argv is None else argv
    return cli.guarded(lambda: run(_parser().parse_args(words)), "--json" in words)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``run``."""
    add_flags(parser)
    parser.add_argument("--dry-run", action="store_true", help="print the request, send nothing")
    parser.add_argument(
        "--rehearse", nargs="?", const="plain", metavar="SCENARIO",
        help="send the request to a local cloud that validates and executes it",
    )  # fmt: skip
    parser.add_argument("--require-gate", action="store_true", help="exit 3 if the gate says no")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def run(arguments: argparse.Namespace) -> int:
    """Send what the flags ask for and watch it to its end. Raises TrefoilError."""
    from pipelines.request import prepare

    if arguments.dry_run and arguments.rehearse:
        raise InputError("--dry-run prints the request, --rehearse executes it; leave one out")
    prepared = prepare(arguments)
    if arguments.dry_run:
        return show(prepared.request)
    from pipelines.checks import check_endpoint, check_gate
    from pipelines.watch import launch

    place, workspace = prepared.provider, prepared.workspace
    if arguments.require_gate:
        check_gate(prepared.request.plan)
    check_endpoint(place, prepared.settings, workspace, prepared.request.plan)
    if not arguments.rehearse:
        return launch(prepared, arguments)
    runner, scenario = arguments.runner or "process", arguments.rehearse
    with place.rehearse(prepared.settings, workspace, scenario, runner, cli.say) as settings:
        return launch(prepared._replace(settings=settings), arguments)


def show(request: Request) -> int:
    """Print the request, whole but for secrets; the notes go to stderr."""
    from infra.redaction import redacted
    from infra.secrets import secret_parameters

    for note in request.notes:
        cli.say(f"note: {note}")
    shown = {"provider": request.provider, "run_id": request.run_id, **request.body}
    cli.answer(redacted(shown, secret_parameters(request.plan)))
    return cli.DONE


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
