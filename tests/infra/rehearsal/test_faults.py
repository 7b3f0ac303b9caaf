"""Faults and scenarios: what goes wrong, as often as it is said, in the provider's words."""

from __future__ import annotations

import http.client
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from infra.errors import InputError
from infra.rehearsal import scenario
from infra.rehearsal.faults import Faults
from infra.rehearsal.log import Log, lines
from infra.rehearsal.server import Answer, Call, serving


def _call(operation: str = "", method: str = "POST", host: str = "api.x", path: str = "/") -> Call:
    return Call(method, path, {}, {"Host": host, "x-amz-target": f"Service.{operation}"}, b"")


def _ask(host: str, path: str) -> tuple[int, bytes]:
    """Status and content of one answer."""
    connection = http.client.HTTPConnection(host.removeprefix("http://"))
    with closing(connection):
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()


@pytest.mark.parametrize(
    ("fault", "met"),
    [
        ({}, [True, True, True]),
        ({"operation": "Create.*"}, [True, False, False]),
        ({"operation": "Create"}, [False, False, False]),
        ({"method": "GET"}, [False, False, True]),
        ({"host": r"^s3\."}, [False, False, True]),
        ({"path": "/bucket"}, [False, False, True]),
    ],
)
def test_a_fault_is_for_what_it_names(fault: dict[str, Any], met: list[bool]) -> None:
    """A scenario that fails other calls than it says proves nothing."""
    calls = [_call("CreateJob"), _call("StopJob"), _call("", "GET", "s3.x", "/bucket/key")]
    assert [Faults([fault]).of(call) is not None for call in calls] == met


def test_it_comes_so_often_and_so_late() -> None:
    faults = Faults([{"times": 2, "after": 1}])
    assert [faults.of(_call()) is not None for _ in range(5)] == [False, True, True, False, False]


def test_a_lost_answer_was_carried_out(tmp_path: Path) -> None:
    """It is the fault that makes a second job, where a client does not think of it."""
    done = []

    def handle(call: Call) -> Answer:
        done.append(call.path)
        return Answer(200)

    log = Log(tmp_path / "log")
    with serving(handle, log, Faults([{}])) as host:
        with pytest.raises(http.client.RemoteDisconnected):
            _ask(host, "/job")
        assert _ask(host, "/job")[0] == 200
    assert done == ["/job", "/job"]
    assert [line["outcome"] for line in lines(tmp_path / "log")] == ["200, answer lost", "200"]


def test_an_error_is_in_the_providers_words(tmp_path: Path) -> None:
    """An SDK decides by code and shape whether it tries again."""

    def fail(fault: Any, call: Call) -> Answer:
        return Answer(429, f"{fault.error} of {call.path}".encode())

    faults = Faults([{"error": "TooMany", "path": "/a"}])
    with (
        serving(lambda _: Answer(200), Log(tmp_path / "log"), faults, fail) as host,
    ):
        assert _ask(host, "/a") == (429, b"TooMany of /a")


def test_a_word_that_means_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="a fault has no operaton; did you mean operation"):
        Faults([{"operaton": "CreateJob"}])


def test_a_scenario_of_a_persons_own(tmp_path: Path) -> None:
    """Not every failure that somebody wants to see can come ready-made."""
    mine = tmp_path / "mine.toml"
    mine.write_text('faults = [{ operation = "CreateJob", error = "Busy" }]\n')
    found = scenario.load(tmp_path / "none", str(mine))
    assert found["faults"] == [{"operation": "CreateJob", "error": "Busy"}]
    assert "mine.toml" in found["words"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("spot", "there is no scenario spot; did you mean spots"),
        ("nowhere.toml", "there is no file nowhere.toml"),
        ("broken.toml", "broken.toml is not TOML"),
    ],
)
def test_a_scenario_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("known.toml").write_text("[spots]\n")
    Path("broken.toml").write_text("[")
    with pytest.raises(InputError, match=words):
        scenario.load(Path("known.toml"), name)
