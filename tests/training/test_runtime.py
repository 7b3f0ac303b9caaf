"""Nothing is told to the makers of what we use."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.served import ROOT, write_model

_SAMPLES = """
import sys
from pathlib import Path
from components.serving.operations import Model
model = Model(Path(sys.argv[1]))
model.sample(model.draw(2, 0))
"""


def test_serving_leaves_no_trace_of_a_runtime_that_reports(tmp_path: Path) -> None:
    """ONNX Runtime's own id of the machine, and the queue of what it would send."""
    model = write_model(tmp_path / "model")
    home = tmp_path / "home"
    home.mkdir()
    subprocess.run(
        [sys.executable, "-c", _SAMPLES, str(model)],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": str(home)},
        check=True,
    )
    assert list(home.rglob("*")) == []
