"""Operations that take time: begun once, looked at ever less often, and waited for."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from typing import Any

from infra.errors import InputError, ProviderError
from infra.gcp import errors
from infra.gcp.session import Found, Gcp

_LONGEST_WAIT = 15.0
"""Seconds between two looks, at most."""


def done(
    gcp: Gcp, method: str, doing: str, deadline: float, unless: Collection[int] = (), **asked: Any
) -> Found | None:
    """Begin an operation and wait for its end; what it says then, empty where it says nothing.

    None where the refusal's HTTP code is one of ``unless``, and where no answer came: then whoever
    asks looks at what became of it. Raises TrefoilError.
    """
    try:
        begun = gcp.find(method, doing, unless=unless, **asked)
    except ProviderError as error:
        if error.__cause__ is None or hasattr(error.__cause__, "status_code"):
            raise
        return None
    return finished(gcp, begun, doing, deadline) if begun else None


def finished(gcp: Gcp, operation: Found, doing: str, deadline: float) -> Found:
    """What an operation says at its end. Raises TrefoilError: with its error, or in vain."""
    ended = _ended(gcp, operation, doing, deadline)
    status = ended.get("error")
    if not status:
        response: Found = ended.get("response", {})
        return response
    code, message = int(status.get("code", 2)), str(status.get("message", ""))
    found = errors.of(code, message, doing)
    if isinstance(found, InputError):  # what was asked was right; its container did not serve
        raise ProviderError(f"Vertex AI did not {doing}: {message}")
    raise found


def going_on(gcp: Gcp, resource: str) -> Iterator[Found]:
    """The operations of an endpoint or a model that have not ended; none where it is not there."""
    method = f"{resource.split('/')[4]}.operations.list"
    doing = f"look for what goes on with {resource.rpartition('/')[2]}"
    page = gcp.find(method, doing, name=resource)
    while page:
        yield from (each for each in page.get("operations", ()) if not each.get("done"))
        more = page.get("nextPageToken")
        page = gcp.ask(method, doing, name=resource, pageToken=more) if more else None


def quiet(gcp: Gcp, resource: str, deadline: float) -> None:
    """Wait until nothing goes on with an endpoint or a model, however that ends."""
    for each in going_on(gcp, resource):
        _ended(gcp, each, f"change {resource.rpartition('/')[2]}", deadline)


def _ended(gcp: Gcp, operation: Found, doing: str, deadline: float) -> Found:
    name, began = operation.get("name", ""), time.monotonic()
    while not operation.get("done"):
        waited = time.monotonic() - began
        if waited > deadline:
            raise ProviderError(
                f"Vertex AI needs more than {waited:.0f} s to {doing}; look again with python -m "
                "pipelines endpoints --provider gcp"
            )
        time.sleep(min(_LONGEST_WAIT, 0.1 + waited / 10))
        resource = name.split("/")[4]
        method = "operations.get" if resource == "operations" else f"{resource}.operations.get"
        operation = gcp.ask(method, doing, name=name)
    return operation
