"""Where a verb acts: the provider and the settings that its flags name, and the run it is about.

A rehearsal has a workspace of its own inside the person's, with its own ledger, runs and tracking
database: nothing of it counts for a real run.
"""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from infra import provider as providers
from infra.errors import InputError
from infra.plan import RunRef
from infra.provider import Provider
from pipelines import settings
from pipelines.flags import CHEAPEST, pair


class Where(NamedTuple):
    """A provider, the settings of all, and those that are its own.

    ``home`` is the person's workspace, which a rehearsal's lies in.
    """

    provider: Provider
    common: settings.Settings
    own: Any
    home: Path

    @property
    def workspace(self) -> Path:
        """The workspace, as the settings say it."""
        return Path(self.common.workspace)

    @property
    def rehearsed(self) -> bool:
        """Whether it is about a rehearsal."""
        return self.workspace != self.home

    @property
    def ground(self) -> Mapping[str, str]:
        """What endpoints are found by."""
        return self.provider.ground(self.own)

    @contextlib.contextmanager
    def reached(self) -> Iterator[Where]:
        """Reach the place to look at its runs, or the stand-in that an earlier rehearsal left.

        Raises SettingsError where the settings do not say which place that is.
        """
        if not self.rehearsed:
            self.provider.require_settings(self.own)
            yield self
            return
        with self.provider.rehearse(self.own, self.workspace, None) as own:
            yield self._replace(own=own)

    def run(self, run_id: str | None) -> RunRef:
        """The run of that id, else the newest. Raises InputError where there is none."""
        if run_id:
            return RunRef(self.provider.name, run_id)
        runs = self.provider.list_runs(self.own)
        if not runs:
            raise InputError("there is no run here yet; start one with: python -m pipelines run")
        return runs[0]


def where(arguments: argparse.Namespace, flags: Mapping[str, Any] | None = None) -> Where:
    """What --provider, --settings, the environment, --set and ``flags`` of a verb's own name.

    Raises InputError, and UnsupportedError where there is nothing to --rehearse.
    """
    name = arguments.provider
    if name == CHEAPEST:  # which that was is known by what was sent
        from pipelines.cheapest import sent

        name = sent(arguments)
    provider = providers.get(name)
    given = dict(pair("--set", text) for text in arguments.set)
    given |= {name: value for name, value in (flags or {}).items() if value is not None}
    common, own = settings.load(provider, arguments.settings, os.environ, given)
    home = Path(common.workspace)
    if getattr(arguments, "rehearse", None):
        provider.require("rehearsal", "--rehearse")
        apart = str(home / "rehearsal" / provider.name)
        own = provider.made_up(own._replace(workspace=apart), Path(apart))
        off = getattr(own, "tracking_uri", common.tracking_uri) == "none"
        common = common._replace(workspace=apart, tracking_uri="none" if off else "")
    return Where(provider, common, own, home)
