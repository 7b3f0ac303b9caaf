"""Every test of data is in a checkout of its own."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.pipelines.data.checkout import ROOT


@pytest.fixture(autouse=True)
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with this repository's pins and DVC settings, which every test is in."""
    place = tmp_path / "home" / "trefoil"
    for folder in (".dvc", "data"):
        ignored = shutil.ignore_patterns("cache", "tmp", "*.gz")
        shutil.copytree(ROOT / folder, place / folder, ignore=ignored)
    monkeypatch.chdir(place)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    for name in ("SITE_CACHE", "GLOBAL_CONFIG", "SYSTEM_CONFIG"):
        monkeypatch.setenv(f"DVC_{name}_DIR", str(tmp_path / name))
    for name in ("AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_CONNECTION_STRING"):
        monkeypatch.delenv(name, raising=False)
    return place


@pytest.fixture
def git(checkout: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=checkout, check=True)
