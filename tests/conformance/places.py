"""Where the cases are run: every provider that infra/ has, discovered, not listed.

A provider that can be rehearsed is; one that cannot must be this machine itself and runs for real,
with each of its runners.
"""

from __future__ import annotations

import contextlib
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from infra import provider as providers
from infra.provider import Provider


class Place(NamedTuple):
    """A provider, and how it is run here. ``needs`` names what the machine must have for it."""

    label: str
    provider: Provider
    own: dict[str, Any]
    rehearsed: bool
    needs: str = ""

    @contextlib.contextmanager
    def settings(self, workspace: Path) -> Iterator[Any]:
        """The settings with which its verbs work, for as long as the block runs."""
        settings = self.settled(workspace)
        if not self.rehearsed:
            yield settings
            return
        with self.provider.rehearse(settings, workspace, "plain") as changed:
            yield changed

    def settled(self, workspace: Path) -> Any:
        """The settings alone, while nothing is up; of a rehearsal with an account made up."""
        known = self.provider.settings.__annotations__
        shared = {"workspace": str(workspace)} if "workspace" in known else {}
        settings = self.provider.settings(**shared, **self.own)
        return self.provider.made_up(settings, workspace) if self.rehearsed else settings


def places() -> list[Place]:
    """Every way to run a plan, providers in alphabetical order."""
    return [place for name in providers.names() for place in _ways(providers.get(name))]


def _ways(provider: Provider) -> Iterator[Place]:
    if "rehearsal" not in provider.missing:
        yield Place(f"{provider.name}, rehearsed", provider, {}, rehearsed=True)
        return
    runners = _choices(provider, "runner")
    if not runners:
        yield Place(provider.name, provider, {}, rehearsed=False)
    for runner in runners:
        own = {"runner": runner} | ({"network": "none"} if runner == "docker" else {})
        needs = runner if runner == "docker" else ""
        yield Place(f"{provider.name}, {runner}", provider, own, rehearsed=False, needs=needs)


def _choices(provider: Provider, setting: str) -> tuple[str, ...]:
    """The values that a setting of a provider may have."""
    hints = typing.get_type_hints(provider.settings)
    return typing.get_args(hints[setting]) if setting in hints else ()
