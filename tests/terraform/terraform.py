"""The real terraform over a copy of terraform/, with real providers, or with their schemas alone.

TF_PLUGIN_MIRROR names a folder in the layout of a filesystem mirror; without it real providers are
fetched as ever. What is made with schemas alone (provider.py) is what ``terraform test`` mocks.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.terraform.grounds import Ground

GROUND = Path(__file__).parents[2] / "terraform"
PROGRAM = shutil.which("terraform")

PLACES = sorted(folder.name for folder in (GROUND / "envs").iterdir() if folder.is_dir())
"""The clouds that there is a ground for."""
PROVIDERS = {"aws": "aws", "azure": "azurerm", "gcp": "google"}
"""Who makes it, as Terraform calls them."""

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
        "GOGC": "400",  # a quarter less CPU for some memory
        "TF_CLI_CONFIG_FILE": str(_configuration(place)),
        **env,
    }
    return Terraform(place / "terraform" / root, own)


class Made(NamedTuple):
    """What a ground would be: its outputs, and each resource by its address in the module."""

    place: str
    outputs: dict[str, Any]
    resources: dict[str, Any]

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        """The resources of a type, by their name and key."""
        found = ((name.split(".", 1), each) for name, each in self.resources.items())
        return {rest: each for (type_, rest), each in found if type_ == kind}


def made(place: Path, schemas: dict[str, str], of: str, ground: Ground) -> Made:
    """What there would be in a cloud: nothing of it is real."""
    terraform = copied(place, f"envs/{of}", **schemas)
    known = {name: {"defaults": each} for name, each in ground.data.items()}
    file = terraform.folder / "tests/made.tftest.json"
    file.parent.mkdir()
    file.write_text(json.dumps({
        "mock_provider": {PROVIDERS[of]: {"mock_data": known}},
        "override_resource": [
            {"target": f"module.ground.{address}", "values": values}
            for address, values in ground.known.items()
        ],
        "variables": ground.variables,
        "run": {"made": {}},
    }))  # fmt: skip
    terraform.run("init", "-backend=false")
    said = map(json.loads, terraform.run("test", "-json", "-verbose").stdout.splitlines())
    (state,) = (each["test_state"] for each in said if "test_state" in each)
    (module,) = state["root_module"]["child_modules"]
    managed = [each for each in module["resources"] if each["mode"] == "managed"]
    return Made(
        of,
        {name: each["value"] for name, each in state["outputs"].items()},
        {each["address"].removeprefix("module.ground."): each["values"] for each in managed},
    )


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
