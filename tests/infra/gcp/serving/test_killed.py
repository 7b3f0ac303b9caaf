"""A deployer that is killed between any two of its requests: what serves, and what is left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from infra.gcp import session
from infra.gcp.serving import left
from tests.infra.gcp.serving.place import MACHINES, Place, threaded

pytestmark = pytest.mark.timeout(300)
_CHANGES = ("insert", "create", "upload", "deployModel", "patch", "predict", "mergeVersionAliases",
            "undeployModel")  # fmt: skip
"""Between two of these a deployer only reads: killed there, it is as killed after the first."""


class Killed(BaseException):
    """As SIGKILL: nothing of ours catches it."""


@contextmanager
def killed(after: str) -> Iterator[list[str]]:
    """Killed at once after a request was carried out; yields the requests that were."""
    whole = session.Gcp.call
    done: list[str] = []

    def call(self: Any, service: str, method: str, *given: Any, **params: Any) -> Any:
        found = whole(self, service, method, *given, **params)
        verb = method.rpartition(".")[2]
        if verb in _CHANGES:
            done.append(verb)
            if verb == after:
                raise Killed
        return found

    with mock.patch.object(session.Gcp, "call", call):
        yield done


def _run(there: Place, run: str) -> None:
    there.environment["TREFOIL_RUN_ID"] = run


@pytest.mark.parametrize("after", ["insert", "create", "upload", "deployModel", "patch", "predict",
                                   "mergeVersionAliases"])  # fmt: skip
def test_a_first_deployment_that_is_killed(tmp_path: Path, after: str) -> None:
    """Whatever it made is found by name and by label, and the same command goes on with it."""
    with threaded(tmp_path, {"start": 0.3}, **MACHINES) as there:
        with killed(after), pytest.raises(Killed):
            there.deploy("1")
        _all_is_tracked(there)
        assert there.deploy("1").state == "serving"
        assert there.serving(2) == ["1"] * 2
        assert [len(there.kept(kind)) for kind in ("Endpoint", "ModelVersion")] == [1, 1]
        assert there.deployed() == ["vae@1"]
        assert [*left.left(there.gcp)] == []


@pytest.mark.parametrize("after", ["upload", "deployModel", "patch", "predict", "undeployModel"])
@pytest.mark.parametrize("then", ["again", "stop and reap"])
def test_a_second_deployment_that_is_killed(tmp_path: Path, after: str, then: str) -> None:
    """The old version serves, or the new one; nothing else is left that nobody would find."""
    with threaded(tmp_path, {"start": 0.3}, **MACHINES) as there:
        there.deploy("1")
        _run(there, "r-2")
        with killed(after), pytest.raises(Killed):
            there.deploy("2")
        _all_is_tracked(there)
        moved = after in ("patch", "predict", "undeployModel")
        assert there.serving(2) == (["2"] if moved else ["1"]) * 2
        if then == "again":
            assert there.deploy("2").previous == "1"
            assert there.serving(2) == ["2"] * 2
            assert there.deployed() == ["vae@2"]
            assert [*left.left(there.gcp)] == []
            return
        there.ask("stop")
        assert there.deployed() == []
        did = [*left.remove(there.gcp, "r-2")]
        kept = [each["name"] for each in there.kept("ModelVersion")]
        assert (did, kept) == (
            ([], ["vae@1", "vae@2"]) if moved
            else (["version 2 of the model vae removed"], ["vae@1"])
        )  # fmt: skip


def test_machines_without_a_request_are_reaped(tmp_path: Path) -> None:
    """They would cost money for as long as nobody looks; the version that serves is not touched."""
    with threaded(tmp_path, **MACHINES) as there:
        there.deploy("1")
        _run(there, "r-2")
        with killed("deployModel"), pytest.raises(Killed):
            there.deploy("2")
        while len(there.deployed()) < 2:
            there.endpoints()  # what Vertex AI has begun it ends by itself
        (told,) = there.endpoints()
        assert "machines that get no requests, for vae version 2" in told.message
        found = {each.run: each.words for each in left.left(there.gcp)}
        assert found == {"r-2": "idle machines of vae at digits"}
        assert [*left.remove(there.gcp, "r-2")] == [
            "idle machines of vae at digits removed",
            "version 2 of the model vae removed",
        ]
        assert there.deployed() == ["vae@1"]
        assert there.serving(2) == ["1"] * 2


def _all_is_tracked(there: Place) -> None:
    """Each thing that there is has a name or a label by which it is looked for."""
    for endpoint in there.kept("Endpoint"):
        assert endpoint["body"]["labels"]["trefoil-endpoint"] == "digits"
    for version in there.kept("ModelVersion"):
        assert version["body"]["labels"]["trefoil-model"] == "vae"
        assert version["body"]["labels"]["trefoil-run"] in ("r-1", "r-2")
