"""What tests of the registry share: a model put into it, and what its aliases then say."""

from __future__ import annotations

from pathlib import Path

import pytest

from components import register
from infra.registry import Registry

NAME = "digits-vae"


def call(
    place: Path,
    uri: str,
    monkeypatch: pytest.MonkeyPatch,
    run: str = "run-1",
    rule: str = "",
    name: str = NAME,
) -> str:
    """Register what ``outputs`` made; the version."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("TREFOIL_RUN_ID", run)
    monkeypatch.setenv("TREFOIL_GIT_COMMIT", "c0ffee")
    arguments = ["--dataset", place / "dataset", "--model", place / "model"]
    arguments += ["--evaluation", place / "evaluation", "--version", place / "version"]
    arguments += ["--model-name", name, *(["--promote", rule] if rule else [])]
    arguments += ["--promoted", place / "promoted"]
    register.main([str(each) for each in arguments])
    return (place / "version").read_text()


def aliases(uri: str) -> dict[str, str]:
    found = Registry(uri).client.get_registered_model(NAME).aliases
    return {alias: str(version) for alias, version in found.items()}
