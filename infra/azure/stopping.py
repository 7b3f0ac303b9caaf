"""Ends what goes on in Azure ML; to end what has ended is no mistake."""

from __future__ import annotations

import re

from infra.azure.session import Azure, missing
from infra.cloud.looking import Look
from infra.cloud.records import Attempt
from infra.errors import TrefoilError
from infra.plan import FINAL

_OVER = re.compile(r"(?i)terminal|already (completed|canceled|failed|finished|ended)")
"""How Azure says that there is nothing to cancel any more."""


def stop(azure: Azure, found: Look) -> None:
    """Cancel the pipeline; where that has ended already, the exit handlers."""
    if found.main not in FINAL and found.execution:
        cancel(azure, found.execution)
        return
    for task in found.tasks.values():
        if task.job and task.state not in FINAL:
            cancel(azure, task.job)


def stop_attempt(azure: Azure, attempt: Attempt) -> None:
    """Cancel whatever an attempt has started, which may be nothing."""
    if name := attempt.request["main"]:
        cancel(azure, name)


def cancel(azure: Azure, name: str) -> None:
    """Ask a job to end, and those of a pipeline with it."""
    try:
        azure.ask(f"cancel the job {name}", azure.ml.jobs.begin_cancel, name)
    except TrefoilError as error:
        if not (missing(error) or _OVER.search(str(error))):
            raise
