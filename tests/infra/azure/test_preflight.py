"""What is looked at before a run is sent: each thing that is wrong is one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from infra.azure import preflight
from infra.errors import InputError
from infra.plan import Argument, Plan, Step, Token
from tests.infra.azure.lowering import SETTINGS
from tests.infra.azure.running import Stood, azure

_WORDS: tuple[Argument, ...] = ((Token("text", "true"),),)
PLAN = Plan("small", (Step("only", "example.azurecr.io/a:1", _WORDS),))


def _changed(stood: Stood) -> list[str]:
    """The calls that changed anything."""
    return [name for name in stood.calls() if " PUT" in name]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"region": "uksouth"}, "workspace: digits-workspace is in westeurope, and the setting"),
        ({"container": "none"}, "in storage: The specified container does not exist"),
        ({"datastore": "none"}, "datastore: the workspace has no datastore none"),
        ({"ml_workspace": "none"}, "Azure does not look at the workspace none: The Resource"),
        ({"compute": "none"}, "cluster: the workspace has no cluster none"),
    ],
)
def test_what_is_not_there_is_told_before_anything_is_sent(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    """Else a person hears of it from a job that failed, minutes later."""
    with azure(tmp_path) as stood:
        wrong = stood._replace(settings=stood.settings._replace(**change))
        with pytest.raises(InputError, match=words):
            wrong.submitted(PLAN)
        assert _changed(stood) == []


def test_a_cluster_of_dear_machines_is_no_spot_cluster(tmp_path: Path) -> None:
    """A person would pay five times what they meant to."""
    own = SETTINGS._replace(compute="cpus", spot_compute="spots")
    with azure(tmp_path, own) as stood:
        found = {check.words: check.well for check in preflight.checks(stood.settings)}
        assert [well for words, well in found.items() if words.startswith("spots, ")] == [True]
        swapped = stood.settings._replace(compute="spots", spot_compute="cpus")
        (bad,) = [check for check in preflight.checks(swapped) if not check.well]
        assert "cpus has no machines of low priority" in bad.words


def test_no_credentials_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"):
        monkeypatch.delenv(name, raising=False)
    with azure(tmp_path) as stood:
        for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"):
            monkeypatch.delenv(name)
        monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential")
        (found,) = preflight.checks(stood.settings)
        assert not found.well
        assert "there are no Azure credentials" in found.words
        assert "az login" in found.words
