"""``python -m pipelines report``: a run as one HTML file that needs nothing else."""

from __future__ import annotations

import argparse
from pathlib import Path

from infra.errors import InputError, told
from pipelines import cli
from pipelines.flags import add_run
from pipelines.where import where


def configure(parser: argparse.ArgumentParser) -> None:
    """Flags of ``report``."""
    add_run(parser)
    parser.add_argument(
        "--out", type=Path, metavar="FILE",
        help="where to write it (default: reports/RUN.html in the workspace)",
    )  # fmt: skip


def report(arguments: argparse.Namespace) -> int:
    """Write the report of a run and say where it lies. Raises InputError on an unknown run."""
    from pipelines.report.facts import gather
    from pipelines.report.page import page

    with where(arguments).reached() as here:
        run = here.run(arguments.run)
        facts = gather(here.provider, here.own, run, here.workspace)
    file = arguments.out or here.workspace / "reports" / f"{run.run_id}.html"
    _write(file, page(facts))
    for note in facts.problems:
        cli.say(f"note: {note}")
    if arguments.json:
        cli.answer({"run_id": run.run_id, "file": str(file)})
    else:
        print(file)
    return cli.DONE


def _write(file: Path, document: str) -> None:
    """Write the file whole; half a surrogate pair, which UTF-8 cannot hold, becomes a ?."""
    from infra.storage import write_whole

    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, document.encode("utf-8", "replace").decode("utf-8"))
    except OSError as error:
        raise InputError(f"the report cannot be written to {file}: {told(error)}") from error
