"""The real terraform over a copy of terraform/, with the providers of a mirror or a registry.

TF_PLUGIN_MIRROR names a folder in the layout of a filesystem mirror; without it providers are
fetched as ever.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest

GROUND = Path(__file__).parents[2] / "terraform"
PROGRAM = shutil.which("terraform")

needs_terraform = pytest.mark.skipif(PROGRAM is None, reason="terraform is not on PATH")


class Terraform(NamedTuple):
    """A root module in a copy of its own, which nothing else writes to."""

    folder: Path
    env: dict[str, str]

    def run(self, *words: str, ok: tuple[int, ...] = (0,)) -> subprocess.CompletedProcess[str]:
        """One command, told when it fails: what AWS never answers, terraform tries for hours."""
        ended = subprocess.run(
            [str(PROGRAM), f"-chdir={self.folder}", *words],
            env=self.env, capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip
        assert ended.returncode in ok, ended.stdout + ended.stderr
        return ended

    def json(self, *words: str) -> Any:
        """What a command with -json says."""
        return json.loads(self.run(*words).stdout)


def copied(place: Path, root: str, **env: str) -> Terraform:
    """A copy of terraform/, initialised in ``root``; skips where the provider cannot be had."""
    shutil.copytree(GROUND, place / "terraform", ignore=shutil.ignore_patterns(".terraform*"))
    own = {
        "PATH": os.environ["PATH"],
        "HOME": str(place),
        "TF_IN_AUTOMATION": "1",
        "CHECKPOINT_DISABLE": "1",
        "TF_CLI_CONFIG_FILE": str(_configuration(place)),
        **env,
    }
    return Terraform(place / "terraform" / root, own)


def initialise(terraform: Terraform) -> None:
    """Skip, with what terraform says, where the provider can be had neither here nor there."""
    ended = terraform.run("init", "-no-color", "-input=false", ok=(0, 1))
    if ended.returncode and "could not connect" in ended.stderr:
        pytest.skip("the provider cannot be fetched; TF_PLUGIN_MIRROR may name a folder with it")
    assert ended.returncode == 0, ended.stderr


def _configuration(place: Path) -> Path:
    file = place / "terraform.rc"
    mirror = os.environ.get("TF_PLUGIN_MIRROR")
    file.write_text(
        ""
        if mirror is None
        else f'provider_installation {{\n  filesystem_mirror {{ path = "{mirror}" }}\n}}\n',
        encoding="utf-8",
    )
    return file
