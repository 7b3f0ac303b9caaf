"""A request to what was just deployed, as anyone will send it."""

from __future__ import annotations

import json

from infra.azure.serving.state import At, State
from infra.errors import ProviderError

_SHOWN = 200
"""Letters of an answer that an error repeats."""


def use(at: At, state: State, operation: str, deployment: str = "") -> None:
    """Have the endpoint do an operation once. Raises ProviderError when it does not.

    A ``deployment`` that gets no requests yet can be tried by its name.
    """
    body = {"operation": operation, "n": 1, "seed": 0}
    headers = {"azureml-model-deployment": deployment} if deployment else {}
    reply = at.arm.score(state.url, body, headers, f"have {at.name} {operation}")
    shown = reply.body[:_SHOWN].decode("utf-8", "replace")
    if reply.status != 200:
        raise ProviderError(
            f"{at.name} answers a trial request with {reply.status} {reply.reason}: {shown}"
        )
    try:
        json.loads(reply.body)
    except ValueError:
        raise ProviderError(f"{at.name} answers a trial request with {shown!r}, not JSON") from None
