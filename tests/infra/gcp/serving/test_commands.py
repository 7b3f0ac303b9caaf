"""The verbs as a person gives them, with --rehearse: deploy, endpoints, rollback, stop."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from pipelines import __main__ as verbs
from tests.registered import NAME, call
from tests.tracked import made_template, outputs  # noqa: F401  a fixture works by being here

pytestmark = pytest.mark.timeout(600)
_PLACE = ["--provider", "gcp", "--rehearse", "--json"]


def test_versions_of_the_registry_are_served_and_taken_back(
    template: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """From the registry to our own server, and back: what each command says is what serves."""
    database = tmp_path / "ws/rehearsal/gcp/mlflow/mlflow.db"
    database.parent.mkdir(parents=True)
    shutil.copyfile(template, database)
    for n in (1, 2):
        place = outputs(tmp_path / str(n), seed=n)
        call(place, f"sqlite:///{database}", monkeypatch, run=f"run-{n}", rule="always")
    for name in ("MLFLOW_TRACKING_URI", "TREFOIL_RUN_ID", "TREFOIL_GIT_COMMIT"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("TREFOIL_WORKSPACE", str(tmp_path / "ws"))
    monkeypatch.setenv("TREFOIL_IMAGE_TAG", "1")

    def give(*words: str) -> Any:
        assert verbs.main([*words, *_PLACE]) == 0
        return json.loads(capsys.readouterr().out)

    def state() -> tuple[str, str, str | None]:
        (found,) = give("endpoints")
        return found["version"], found["state"], found["previous"]

    give("deploy", "1")
    assert state() == ("1", "serving", None)
    give("deploy", "2", "--canary", "20")
    assert state() == ("1, canary 2", "canary", "1")
    give("deploy", "2")
    assert state() == ("2", "serving", "1")
    told = give("rollback")
    assert (told["name"], told["version"]) == (NAME, "1")
    assert state() == ("1", "serving", "2")
    give("stop", NAME)
    assert state() == ("1", "stopped", "2")
