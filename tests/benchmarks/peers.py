"""Environments of peers, made once and thrown away with the cache folder they lie in."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

PINS = {
    "kedro": ["kedro==1.7.0", "kedro-datasets==9.5.0"],
    "zenml": ["zenml[local]==0.98.0"],
}
"""kfp.local is measured in our own environment: it is the kfp that we compile with."""


def python_of(peer: str) -> tuple[str | None, str]:
    """The peer's interpreter, or None and the reason why there is none."""
    place = Path(
        os.environ.get("TREFOIL_BENCH_CACHE", Path(tempfile.gettempdir(), "trefoil-bench"))
    )
    environment = place / "-".join([peer, *PINS[peer]]).replace("/", "_")
    python = environment / "bin" / "python"
    uv = Path(sys.executable).with_name("uv")
    if (environment / "made").exists():
        return str(python), ""
    for command in (
        [str(uv), "venv", "--quiet", "--clear", str(environment)],
        [str(uv), "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python),
         *PINS[peer]],
    ):  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            return None, f"{peer} does not install: {done.stderr.strip()[-300:]}"
    (environment / "made").touch()
    return str(python), ""
