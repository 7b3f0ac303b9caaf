"""Five steps that do nothing, rehearsed: ``python -m tests.benchmarks rehearsal``.

The floor is the same pipeline on the local provider. A rehearsal adds the provider's own SDK and a
stand-in that checks every call: what is measured is the whole command, from nothing to its summary.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from tests.benchmarks.harness import PYTHON, ROOT, Contender, Goal, flags, in_turns, once, tell

FLOOR, KIND, AWS, GCP = "local", "kind, rehearsed", "aws, rehearsed", "gcp, rehearsed"
AZURE = "azure, rehearsed"
GOALS = [
    Goal(KIND, FLOOR, 1.5, plus=1.0),
    Goal(AWS, FLOOR, 1.0, plus=3.0),
    Goal(GCP, FLOOR, 1.0, plus=3.0),
    Goal(AZURE, FLOOR, 1.0, plus=10.0),
]
NOOP = ROOT / "tests" / "benchmarks" / "noop.yaml"


def main(argv: list[str] | None = None) -> None:
    """Print the table."""
    arguments = flags(argv, rounds=7)
    with tempfile.TemporaryDirectory() as folder:
        local = _contender(FLOOR, Path(folder) / "local")
        kind = _contender(KIND, Path(folder) / "kind", "--provider", "kind", "--rehearse")
        aws = _contender(AWS, Path(folder) / "aws", "--provider", "aws", "--rehearse")
        gcp = _contender(GCP, Path(folder) / "gcp", "--provider", "gcp", "--rehearse")
        azure = _contender(AZURE, Path(folder) / "azure", "--provider", "azure", "--rehearse")
        found = in_turns([local, kind, aws, gcp, azure], arguments.rounds)
    tell(found, FLOOR, {"wall": GOALS}, (), arguments.json)


def _contender(name: str, workspace: Path, *flags: str) -> Contender:
    command = [PYTHON, "-m", "pipelines.run", "--pipeline", str(NOOP), *flags]
    environment = {"TREFOIL_WORKSPACE": str(workspace)}
    once(Contender(name, command, environment=environment))

    def forget() -> None:
        """A fresh workspace, but for the compiled pipeline."""
        for found in workspace.iterdir():
            if found.is_dir() and found.name != "ir":
                shutil.rmtree(found)
            elif found.is_file():
                found.unlink()

    return Contender(name, command, forget, environment)


if __name__ == "__main__":
    main()
