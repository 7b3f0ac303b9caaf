"""Deployments that no request reaches: what a deploy that was killed leaves, which costs money."""

from __future__ import annotations

from collections.abc import Iterator

from infra.azure.serving.requests import ENDPOINT, Serving
from infra.azure.serving.state import At, Deployed, delete, look, settled

_DEADLINE = 3600.0


def unused(serving: Serving) -> Iterator[tuple[At, Deployed]]:
    """Each, with its endpoint; ``run`` of it says whose it is. Raises TrefoilError."""
    for name in names(serving):
        at = At(name, serving, _DEADLINE)
        for each in look(at).idle():
            yield at, each


def remove(at: At, name: str) -> bool:
    """Delete one, unless requests reach it meanwhile; False then."""
    if name not in [each.name for each in settled(at).idle()]:
        return False
    delete(at, name)
    return True


def names(serving: Serving) -> list[str]:
    """The endpoints of the workspace that are ours."""
    at = At("", serving, _DEADLINE)
    pages = at.arm.pages(serving.address("onlineEndpoints"), "list the endpoints")
    tags = [(each.get("name"), (each.get("tags") or {}).get(ENDPOINT)) for each in pages]
    return sorted(name for name, tag in tags if name and tag == name)
