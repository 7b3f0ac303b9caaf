"""A request to what was just deployed, as anyone will send it."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request

from infra.errors import ProviderError
from infra.gcp.serving.requests import Found
from infra.gcp.serving.state import At, State

_PATIENCE = 20
"""Requests, for each that the version should get of them by its share, until one reaches it."""
_PAUSE = 0.5
"""Seconds between two of them, at most: a share takes a moment to be in effect."""
_SECONDS = 60.0


def use(at: At, now: State, deployed: str, operation: str) -> None:
    """Have what is deployed do an operation once. Raises TrefoilError when it does not.

    Nobody can choose who answers, so it is asked until the answer is of the right one. Where an
    endpoint is in a network of yours, it is asked there.
    """
    share = now.traffic.get(deployed)
    if not share:
        raise ProviderError(f"{at.name} was given to another version before this one was tried")
    body = {"instances": [{}], "parameters": {"operation": operation, "seed": 0}}
    if at.serving.network:
        _privately(at, now, deployed, body)
        return
    for attempt in range(_PATIENCE * 100 // share):
        found = at.gcp.ask(
            "endpoints.predict", f"have {at.name} {operation}", body, endpoint=at.resource
        )
        if found.get("deployedModelId") == deployed:
            return
        time.sleep(min(_PAUSE, attempt / 100))
    raise ProviderError(
        f"{at.name} got {share} percent of its requests to the new version, which answers none"
    )


def _privately(at: At, now: State, deployed: str, body: Found) -> None:
    """By the address that is reached from its network alone."""
    address = now.deployed[deployed].found.get("privateEndpoints", {}).get("predictHttpUri", "")
    if not address.startswith("http://"):
        raise ProviderError(f"Vertex AI gives {at.name} no address in its network")
    request = urllib.request.Request(  # noqa: S310  http, as was seen
        address, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310
            json.loads(answer.read())
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise ProviderError(
            f"{at.name} does not answer a trial request at {address} ({reason}); deploy from a "
            "machine in its network, as a run does there"
        ) from None
