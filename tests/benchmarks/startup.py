"""What looking costs: ``python -m tests.benchmarks startup``. The floor is ``python -c pass``."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.benchmarks.harness import PYTHON, Contender, Goal, goals, in_turns, once, table

FLOOR = "python -c pass"
GOALS = [
    Goal("run --help", FLOOR, 6),
    Goal("run --dry-run", FLOOR, 15),
    Goal("plan", FLOOR, 15),
]


def main(rounds: int = 21) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as place:
        ours = {"TREFOIL_WORKSPACE": str(Path(place, "workspace"))}
        run = [PYTHON, "-m", "pipelines.run"]
        contenders = [
            Contender(FLOOR, [PYTHON, "-c", "pass"]),
            Contender("run --help", [*run, "--help"], environment=ours),
            Contender(
                "run --dry-run", [PYTHON, "-m", "pipelines.run", "--dry-run"], environment=ours
            ),
            Contender("plan", [PYTHON, "-m", "pipelines", "plan"], environment=ours),
        ]
        once(contenders[2])  # compiles the pipeline: from here on its IR is kept
        found = in_turns(contenders, rounds)
    print("\n".join([*table(found, FLOOR), *goals(found, GOALS)]))


if __name__ == "__main__":
    main()
