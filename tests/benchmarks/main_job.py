"""The main job beside one plain script: ``python -m tests.benchmarks main_job``.

Ours: all steps as processes, in a fresh workspace, with cache, ledger, tracking and checkpoints.
Memory is the sum over all processes of the job alive at once, the server and the sender included.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from infra.local import endpoint
from tests.benchmarks.harness import PYTHON, Contender, Goal, flags, in_turns, once, tell

PLAIN, OURS = "one plain script", "trefoil"
GOALS = [Goal(OURS, PLAIN, 1.4)]
MEMORY = [Goal(OURS, PLAIN, 1.3)]


def main(argv: list[str] | None = None) -> None:
    """Print the table."""
    arguments = flags(argv, rounds=3)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        plain, ours = place / "plain", place / "ours"

        def forget(work: Path) -> None:
            """End the last server and remove what was left, but for the IR."""
            for each in endpoint.endpoints(workspace=work):
                endpoint.stop(workspace=work, name=each.name)
            for leftover in work.glob("*"):
                if leftover.name != "ir":
                    shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()

        environment = {"TREFOIL_WORKSPACE": str(ours)}
        dry = [PYTHON, "-m", "pipelines.run", "--dry-run"]
        once(Contender("compile", dry, environment=environment))
        contenders = [
            Contender(
                PLAIN,
                [PYTHON, "-m", "tests.benchmarks.plain_script", str(plain)],
                lambda: forget(plain),
            ),
            Contender(OURS, [PYTHON, "-m", "pipelines.run"], lambda: forget(ours), environment),
        ]
        try:
            found = in_turns(contenders, arguments.rounds, memory=True)
        finally:
            forget(plain)
            forget(ours)
    tell(found, PLAIN, {"wall": GOALS, "peak_mb": MEMORY}, as_json=arguments.json)


if __name__ == "__main__":
    main()
