"""What every test shares: a workspace of its own, no network, and skips that must be earned."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest

pytest_plugins = ["tests.docker"]

FORBID_SKIPS = "PYTEST_FORBID_SKIPS"
"""Set where everything that tests need is installed: there, "not installed" is a failure."""


def _foreign() -> list[str]:
    return [name for name in os.environ if name.startswith(("TREFOIL_", "MLFLOW_"))]


for _name in _foreign():  # before any fixture, those of a module too
    del os.environ[_name]
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person's settings, and what an earlier test's code set, must not reach a test."""
    for name in _foreign():
        monkeypatch.delenv(name)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace of the test's own, named by the environment."""
    place = tmp_path / "workspace"
    monkeypatch.setenv("TREFOIL_WORKSPACE", str(place))
    return place


_strict = FORBID_SKIPS in os.environ


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip for want of a program into a failure where none may be wanting."""
    report = yield
    if _strict and report.skipped and "not installed" in str(report.longrepr):
        report.outcome = "failed"
        report.longrepr = f"skips are forbidden here, and {item.nodeid} skipped: {report.longrepr}"
    return report
