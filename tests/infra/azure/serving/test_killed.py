"""A deployer that is killed between any two requests: nothing unknown, nothing twice."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from infra.azure.serving import left
from infra.azure.serving.requests import ENDPOINT
from infra.errors import ProviderError
from tests.infra.azure.serving.placed import Place, place
from tests.infra.cloud.killing import died, dying

pytestmark = pytest.mark.timeout(300)
_ASKS = re.compile(r"login\.microsoftonline|/getLogs|/score")


def killed(number: int) -> AbstractContextManager[None]:
    """Die before the so many-th request that changes something."""
    from azure.core.pipeline.transport import RequestsTransport

    def asks(request: Any) -> bool:
        return request.method == "GET" or _ASKS.search(request.url) is not None

    return dying(RequestsTransport, "send", asks, number)


def dies(number: int, does: Callable[[], object]) -> bool:
    """Do something until it is killed at a request; False where that never came."""
    return died(killed(number), does)


def _known(there: Place, name: str) -> None:
    """All that costs money is behind an endpoint that the verbs tell of."""
    told = [each.name for each in there.told()]
    for each in there.kept("deployments"):
        assert each["request"]["tags"][ENDPOINT] == each["endpoint"]
        assert each["endpoint"] in told
    mine = [each for each in there.kept("onlineEndpoints") if each["name"] == name]
    assert all(each["request"]["tags"][ENDPOINT] == name for each in mine)


def _deployed(there: Place, name: str) -> list[str]:
    """The versions that keep machines."""
    mine = [each for each in there.kept("deployments") if each["endpoint"] == name]
    return sorted(each["request"]["tags"]["trefoil.version"] for each in mine)


def _reached(there: Place) -> set[str]:
    """The versions that get requests, or are the one before."""
    (found,) = there.told()
    return {found.version, found.previous or ""}


def _standing(there: Place, name: str) -> list[str]:
    """The same, once what is being deleted is gone."""
    while any(each["status"] == "Deleting" for each in there.kept("deployments")):
        threading.Event().wait(0.05)
    return _deployed(there, name)


def test_a_killed_first_deploy_is_finished_or_ended(tmp_path: Path) -> None:
    """At every request: the same command ends well, with one machine; or stop ends it."""
    with place(tmp_path) as there:
        number = 1
        while dies(number, lambda: there.deploy("1", name=f"first-{number}")):  # noqa: B023
            name = f"first-{number}"
            _known(there, name)
            if number % 2:
                found = there.deploy("1", name=name)
                assert (found.state, found.version) == ("serving", "1"), number
                assert _deployed(there, name) == ["1"], number
                assert there.answers(1, name) == ["1"]
            elif any(each.name == name for each in there.told()):
                assert there.ask("stop", name).state == "stopped"
                assert _deployed(there, name) == [], number
            number += 1
        assert number > 3  # the model and the environment are there after the first


def test_a_killed_change_of_versions_leaves_one_that_serves(tmp_path: Path) -> None:
    """At every request one version answers everyone; the same command ends with the new one."""
    with place(tmp_path) as there:
        there.deploy("0")
        there.deploy("1")
        number, before = 1, "1"
        while dies(number, lambda: there.deploy(str(number + 1))):  # noqa: B023
            version = str(number + 1)
            _known(there, "digits")
            assert len(set(there.answers(3))) == 1, number
            unused = [each.version for _, each in left.unused(there.serving)]
            assert unused == [v for v in _standing(there, "digits") if v not in _reached(there)]
            found = there.deploy(version)
            assert (found.version, found.previous) == (version, before), number
            assert there.answers(2) == [version] * 2
            assert _standing(there, "digits") == sorted([before, version]), number
            number, before = number + 1, version
        assert number > 4  # files, model, deployment, traffic, and what is deleted


def test_a_killed_rollback_and_a_killed_stop_are_finished_by_the_same_command(
    tmp_path: Path,
) -> None:
    """A person gives the command again, and need not know where it was."""
    with place(tmp_path) as there:
        there.deploy("1")
        there.deploy("2")
        assert dies(1, lambda: there.ask("rollback"))
        assert there.ask("rollback").version == "1"
        number = 1
        while dies(number, lambda: there.ask("stop")):
            _known(there, "digits")
            assert there.ask("stop").state == "stopped", number
            assert _deployed(there, "digits") == []
            there.deploy("1")
            there.deploy("2")
            number += 1
        assert number > 3


def test_a_deployer_killed_while_it_takes_back_is_finished(tmp_path: Path) -> None:
    """What failed stays, with its machines, until the next command; that one clears it."""
    with place(tmp_path) as there:
        there.deploy("1")

        def fails() -> None:
            with pytest.raises(ProviderError):
                there.deploy("2", ill=True)

        number = 1
        while dies(number, fails):
            _known(there, "digits")
            assert there.answers(1) == ["1"]
            with pytest.raises(ProviderError, match="version 1 still serves"):
                there.deploy("2", ill=True)
            assert _standing(there, "digits") == ["1"], number
            number += 1
        assert number > 1
