"""Our own manifests as kubectl's kustomize renders them, and what upstream has beside them."""

from __future__ import annotations

import functools
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

MANIFESTS = Path(__file__).parents[4] / "infra" / "kind" / "cluster" / "manifests"


def require_kubectl() -> None:
    """Skip, in one line, where there is no kubectl."""
    if not shutil.which("kubectl"):
        pytest.skip("kubectl is not installed; .ci/kubectl.py brings it")


@functools.cache
def _text(overlay: str) -> str:
    done = subprocess.run(
        ["kubectl", "kustomize", str(MANIFESTS / overlay)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def documents(overlay: str) -> list[dict[str, Any]]:
    """An overlay's documents, anew for every caller: tests break them."""
    require_kubectl()
    return list(yaml.safe_load_all(_text(overlay)))
