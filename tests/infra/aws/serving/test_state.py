"""What is known of an endpoint that changes while it is looked at."""

from __future__ import annotations

from typing import Any

import pytest

from infra.aws.lower import ground
from infra.aws.serving import state
from infra.aws.serving.requests import told_by
from tests.infra.aws.lowering import SETTINGS


class _Going:
    """An account whose endpoint is described once, and is gone before its tags are read."""

    def __init__(self) -> None:
        self.left = 1

    def find(self, _service: str, operation: str, _doing: str, **_request: Any) -> Any:
        if operation != "describe_endpoint" or not self.left:
            return None
        self.left -= 1
        return {"EndpointArn": "arn", "EndpointStatus": "Deleting"}

    def pages(self, *_asked: Any, **_request: Any) -> Any:
        return iter(())


def test_an_endpoint_that_goes_while_it_is_looked_at_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who stops an endpoint must not be told of a resource that is missing, but that it ended."""
    account = _Going()
    monkeypatch.setattr(state, "connected", lambda _region: account)
    found = state.look(state.At("digits", told_by(ground(SETTINGS)), 1.0))
    assert (found.status, found.config, account.left) == ("", None, 0)
