"""The verbs of endpoints against the stand-in: what serves, after each, and what is left."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.infra.gcp.serving.place import MACHINES, place

pytestmark = pytest.mark.timeout(180)


def test_versions_canary_and_back(tmp_path: Path) -> None:
    """A version, a canary of the next, all of it, back, and the end: each is what answers."""
    with place(tmp_path, **MACHINES) as there:
        assert (there.deploy("1").state, there.serving(3)) == ("serving", ["1"] * 3)
        found = there.deploy("2", canary=20)
        assert (found.state, found.version, found.previous) == ("canary", "1, canary 2", "1")
        assert there.serving() == ["1"] * 8 + ["2"] * 2
        assert (there.deploy("2").previous, there.serving(3)) == ("1", ["2"] * 3)
        assert there.deployed() == ["vae@2"]
        assert (there.ask("rollback").version, there.serving(3)) == ("1", ["1"] * 3)
        assert there.deployed() == ["vae@1"]
        assert there.ask("stop").state == "stopped"
        assert there.deployed() == []
        (told,) = there.endpoints()
        assert (told.name, told.version, told.state) == ("digits", "1", "stopped")
        assert (there.ask("rollback").version, there.serving(3)) == ("2", ["2"] * 3)
