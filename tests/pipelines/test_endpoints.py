"""The verbs about what is being served: what they print, what they return."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from pipelines import __main__ as verbs
from tests.endpoints import (  # noqa: F401  fixtures work by being here
    deploy,
    made_models,
    made_workspace,
)


def test_nothing_is_served(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verbs.main(["endpoints"]) == 0
    assert "nothing is served here" in capsys.readouterr().out
    assert verbs.main(["endpoints", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert not workspace.exists()


def test_what_is_served_and_stopping_it(
    workspace: Path, models: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    deploy(workspace, models, 1)
    found = deploy(workspace, models, 2)
    assert verbs.main(["endpoints"]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["NAME", "VERSION", "STATE", "URL", "PID", "STARTED", "PREVIOUS"]
    cells = row.split()
    assert [*cells[:5], cells[-1]] == ["vae", "2", "serving", found.url, str(found.pid), "1"]
    assert head.index("URL") == row.index("http")

    assert verbs.main(["endpoints", "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["name"], told["pid"], told["url"]) == ("vae", found.pid, found.url)

    assert verbs.main(["stop", "vae"]) == 0
    assert capsys.readouterr().out.startswith("vae is stopped")
    assert verbs.main(["stop", "vae", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["state"] == "stopped"
    assert verbs.main(["endpoints"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == [
        "vae", "2", "stopped", found.url, "-", "-", "1",
    ]  # fmt: skip


def test_an_endpoint_that_is_not_there(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verbs.main(["stop", "vae"]) == 2
    assert capsys.readouterr().err == "error: there is no endpoint vae; there is none\n"


@pytest.mark.parametrize("verb", [["endpoints"], ["stop", "vae"], ["rollback"]], ids=" ".join)
def test_a_place_without_endpoints_is_refused_by_one_sentence(
    workspace: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    verb: list[str],
) -> None:
    """A traceback would tell nobody that the place, and not the command, is the matter."""
    monkeypatch.setitem(sys.modules, "infra.local.endpoint", None)
    assert verbs.main(verb) == 2
    assert capsys.readouterr().err.startswith("error: local serves nothing: it has no endpoints")
    assert not workspace.exists()
