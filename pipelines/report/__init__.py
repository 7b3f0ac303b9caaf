"""``python -m pipelines report``: a run as one HTML file that needs nothing else."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from infra import provider as providers
from infra.errors import InputError, told
from infra.plan import RunRef
from pipelines import cli, settings
from pipelines.flags import add_run


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

    place = providers.get(arguments.provider)
    common, own = settings.load(place, arguments.settings, os.environ, {})
    workspace = Path(common.workspace)
    if arguments.run is None and not (known := place.list_runs(own)):
        raise InputError("there is no run here yet; start one with: python -m pipelines run")
    run = RunRef(place.name, arguments.run) if arguments.run else known[0]
    facts = gather(place, own, run, workspace)
    file = arguments.out or workspace / "reports" / f"{run.run_id}.html"
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
