"""A disk that is full, wherever a run happens to be: one sentence, and the run can be finished."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pipelines.one_step import ROOT

ALONE = ["unshare", "--user", "--map-root-user", "--mount"]


@pytest.mark.parametrize("kilobytes", [4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48])
def test_a_full_disk_is_one_sentence_and_with_room_the_run_is_finished(
    tmp_path: Path, kilobytes: int
) -> None:
    """The ledger, the request, an event, a log, an output, the cache: each is hit by some size."""
    if subprocess.run([*ALONE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount a small disk in a namespace of its own")
    done = subprocess.run(
        [
            *ALONE, sys.executable, "-m", "tests.pipelines.small_disk", str(tmp_path / "disk"),
            str(kilobytes),
        ],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = json.loads(done.stdout)
    code, said = found["first"]["code"], found["first"]["err"]
    assert code in (1, 2)
    assert "Traceback" not in said
    assert "the disk is full" in said.splitlines()[-1] or "cannot be written" in said
    assert found["second"]["code"] == 0, found["second"]["err"]
    assert "damaged" not in found["second"]["err"]
    assert found["sizes"] == [1024, 1024]
    assert found["hidden"] == []
