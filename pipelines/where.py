"""Where a verb acts: the provider and the settings that its flags name, and the run it is about."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from infra import provider as providers
from infra.errors import InputError
from infra.plan import RunRef
from infra.provider import Provider
from pipelines import settings
from pipelines.flags import pair


class Where(NamedTuple):
    """A provider, the settings of all, and those that are its own."""

    provider: Provider
    common: settings.Settings
    own: Any

    @property
    def workspace(self) -> Path:
        """The workspace, as the settings say it."""
        return Path(self.common.workspace)

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

    Raises InputError.
    """
    provider = providers.get(arguments.provider)
    given = dict(pair("--set", text) for text in arguments.set)
    given |= {name: value for name, value in (flags or {}).items() if value is not None}
    return Where(provider, *settings.load(provider, arguments.settings, os.environ, given))
