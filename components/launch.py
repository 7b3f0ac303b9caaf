"""Runs a step on several nodes of a cluster, from the one pod that it has there itself.

    python -m components.launch --step NAME --manifests JSON [--read PATH] [--write PATH]
        [--env NAME] --start-deadline SECONDS -- COMMAND

``infra.kind.jobs`` writes the flags: a Job's manifests, where the inputs were put, where the
outputs are wanted, and which variables the command needs. What the first node prints is printed
here. SIGTERM ends the Job, whose pods may save what they have; the next attempt goes on from that.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from components import contract


def main(argv: Sequence[str] | None = None) -> None:
    """Run it. Raises TrefoilError with the exit code of the node that failed first."""
    parser = contract.Arguments("components.launch", description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--step", required=True, metavar="NAME", help="the step's name")
    add("--manifests", required=True, metavar="JSON", help="the Service, and the Job")
    add("--read", action="append", default=[], type=Path, metavar="PATH", help="an input")
    add("--write", action="append", default=[], type=Path, metavar="PATH", help="an output")
    add("--env", action="append", default=[], metavar="NAME", help="a variable of the command")
    add("--start-deadline", type=float, required=True, help="seconds that the pods have to start")
    add("command", nargs="+")
    arguments = parser.parse_args(argv)
    from infra.kind import following
    from infra.kind.job_manifests import job_name, named
    from infra.kind.shared import Shared

    name = job_name(os.environ.get("TREFOIL_RUN_ID", "run"), arguments.step)
    shared = Shared(name, arguments.read, arguments.write)
    empty = named(arguments.manifests, name)
    manifests = following.filled(empty, arguments.command, arguments.env, shared)
    with contract.Termination() as asked:
        try:
            deadline = arguments.start_deadline
            following.run(manifests, shared, deadline, _say, asked.requested)
        except following.Ended:
            raise contract.Terminated("its nodes have ended") from None


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    contract.run(main)
