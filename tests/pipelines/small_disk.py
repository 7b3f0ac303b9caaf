"""Runs a pipeline on a disk that is too small, then with room: ``python -m ... PLACE KILOBYTES``.

The disk is a tmpfs, so this needs a namespace of its own: ``unshare --user --map-root-user
--mount``. It prints what both runs came to as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.pipelines.one_step import NOOP


def main(place: Path, kilobytes: int) -> None:
    """Mount, run, make room, run again."""
    place.mkdir()
    options = f"size={kilobytes}k"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=True)
    first = run(place / "w")
    subprocess.run(["mount", "-o", "remount,size=16m", str(place)], check=True)
    second = run(place / "w")
    made = sorted((place / "w").glob("runs/*/steps/*/outputs/outputs/out"))
    print(
        json.dumps(
            {
                "first": first,
                "second": second,
                "sizes": [file.stat().st_size for file in made],
                "hidden": [str(file) for file in (place / "w").rglob(".*")],
            }
        )
    )


def run(workspace: Path) -> dict[str, Any]:
    """Two steps, the second of the first."""
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.run", "--pipeline", str(NOOP), "--step", "step"],
        env={
            **os.environ, "TREFOIL_WORKSPACE": str(workspace), "TREFOIL_TRACKING_URI": "none",
        },
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return {"code": done.returncode, "err": done.stderr}


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
