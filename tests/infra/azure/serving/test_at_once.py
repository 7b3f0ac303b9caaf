"""Two deployers at once: whoever comes second sees what the first did, and none is forgotten."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infra.azure import endpoint
from infra.azure.serving import requests
from infra.azure.serving.requests import Shares
from infra.azure.serving.state import At, look, settled
from infra.errors import ProviderError
from tests.infra.azure.serving.placed import place


def test_what_azure_failed_to_take_is_not_sent_again_unseen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK would repeat a request of minutes ago over what another deployed meanwhile."""
    from azure.core.exceptions import ServiceRequestError
    from azure.core.pipeline.transport import RequestsTransport

    monkeypatch.setattr(endpoint, "_PAUSE", 0.0)
    send, tried = RequestsTransport.send, list[Any]()

    def raced(self: RequestsTransport, request: Any, **more: Any) -> Any:
        moves = request.method == "PUT" and "/onlineEndpoints/digits?" in request.url
        if moves and not tried and json.loads(request.body)["tags"]["trefoil.version"] == "2":
            tried.append(request)
            there.deploy("3")
            raise ServiceRequestError("the connection broke")
        return send(self, request, **more)

    with place(tmp_path) as there:
        there.deploy("1")
        monkeypatch.setattr(RequestsTransport, "send", raced)
        found = there.deploy("2")
        assert len(tried) == 1
        assert (found.version, found.previous) == ("2", "3")
        assert there.answers(2) == ["2", "2"]


def test_a_move_that_another_overwrote_unseen_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a deploy ends well whose version nobody is served by, and no rollback reaches."""
    put, overwritten = At.put, list[Any]()

    def raced(self: At, kind: str, path: str, body: Any, *rest: Any, **more: Any) -> Any:
        made = put(self, kind, path, body, *rest, **more)
        if (
            not overwritten
            and body.get("tags", {}).get("trefoil.version") == "2"
            and "sku" not in body
        ):
            settled(self)
            overwritten.append(put(self, kind, path, theirs, *rest, **more))
        return made

    with place(tmp_path) as there:
        for version in ("1", "3"):
            there.deploy(version)
        there.ask("rollback")
        before = look(At("digits", there.serving, 60.0))
        one, three = before.shares.main, before.shares.previous
        shares = Shares("3", three, previous=one)
        moves = [*before.moves, "theirs"]
        theirs = requests.endpoint("digits", shares, there.serving, {one, three}, moves)
        monkeypatch.setattr(At, "put", raced)
        found = there.deploy("2")
        assert len(overwritten) == 1
        assert (found.version, found.previous) == ("2", "3")
        assert there.answers(2) == ["2", "2"]


def test_what_came_after_and_saw_it_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rollback by a person, while a deploy is still waiting, is not undone by that."""
    put, back = At.put, list[Any]()

    def followed(self: At, kind: str, path: str, body: Any, *rest: Any, **more: Any) -> Any:
        made = put(self, kind, path, body, *rest, **more)
        if not back and body.get("tags", {}).get("trefoil.version") == "2" and "sku" not in body:
            settled(self)
            back.append(1)
            there.ask("rollback")
        return made

    with place(tmp_path) as there:
        there.deploy("1")
        monkeypatch.setattr(At, "put", followed)
        assert there.deploy("2").version == "1"
        assert back == [1]
        assert there.answers(2) == ["1", "1"]


def test_what_came_after_a_change_whose_answer_was_lost_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rollback that is looked for, and not found at once, would take back what came after."""
    put, followed = At.put, list[Any]()

    def lost(self: At, kind: str, path: str, body: Any, *rest: Any, **more: Any) -> Any:
        made = put(self, kind, path, body, *rest, **more)
        if not followed and "sku" not in body:
            settled(self)
            followed.append(1)
            there.deploy("3")
            raise ProviderError("the connection broke")
        return made

    with place(tmp_path) as there:
        for version in ("1", "2"):
            there.deploy(version)
        monkeypatch.setattr(endpoint, "_PAUSE", 0.0)
        monkeypatch.setattr(At, "put", lost)
        found = there.ask("rollback")
        assert followed == [1]
        assert (found.version, found.previous) == ("3", "1")
        assert there.answers(2) == ["3", "3"]


def test_an_endpoint_that_is_made_is_not_made_again_unseen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK would repeat it, without any traffic, over what another serves by it meanwhile."""
    from azure.core.exceptions import ServiceRequestError
    from azure.core.pipeline.transport import RequestsTransport

    monkeypatch.setattr(endpoint, "_PAUSE", 0.0)
    send, tried = RequestsTransport.send, list[Any]()

    def raced(self: RequestsTransport, request: Any, **more: Any) -> Any:
        if request.method == "PUT" and "/onlineEndpoints/digits?" in request.url and not tried:
            tried.append(request)
            there.deploy("1")
            raise ServiceRequestError("the connection broke")
        return send(self, request, **more)

    with place(tmp_path) as there:
        monkeypatch.setattr(RequestsTransport, "send", raced)
        found = there.deploy("2")
        assert (found.version, found.previous) == ("2", "1")
        made = [each for each in there.sent("PUT", "onlineEndpoints")
                if not each["properties"]["traffic"]]  # fmt: skip
        assert len(made) == 1
