"""A provider in a folder of its own passes the suite, and the suite finds it by itself."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.conformance.trial import ROOT

TOY = {
    "__init__.py": '''
"""A toy: this machine under another name, and without loops of retries."""
from infra.local import LocalSettings
from infra.provider import Provider

PROVIDER = Provider("toy", "a place for a test", LocalSettings, {
    "gpu": "toys have none", "multi-node": "there is one toy", "rehearsal": "it is a game already",
})
''',
    "lower.py": """
from infra.local import lower as local

def lower(plan, settings, run_id):
    return local.lower(plan, settings, run_id)._replace(provider="toy")

def price(plan, settings):
    return 0.0
""",
    "client.py": """
from infra.local import client as local
from infra.local.client import cancel, follow, history, logs, outputs, status, why
from infra.plan import RunRef

def submit(request, settings, context):
    return RunRef("toy", local.submit(request, settings, context).run_id)

def list_runs(settings):
    return [RunRef("toy", run.run_id) for run in local.list_runs(settings)]
""",
}


def test_a_new_folder_is_held_to_the_same_plans(tmp_path: Path) -> None:
    """Whoever adds a place gets its tests for nothing, and cannot forget to run them."""
    for room in ("pipelines", "components", "training", "infra", "tests", "docs"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / room, tmp_path / room, ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "infra" / "toy").mkdir()
    for name, text in TOY.items():
        (tmp_path / "infra" / "toy" / name).write_text(text)
    command = [sys.executable, "-m", "pytest", "-n", "0", "-k", "toy and process and not docs"]
    done = subprocess.run(
        [*command, "tests/conformance/test_conformance.py"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    assert "27 passed" in done.stdout
