"""Say how the run ended; runs whatever happened.

    python -m components.report --status JSON

The JSON is KFP's PipelineTaskFinalStatus: state, pipelineJobResourceName, pipelineTaskName and
error (code, message).
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import NamedTuple

from components import contract, tracking
from infra.redaction import redacted
from training.errors import InputError

_ENDINGS = {
    "SUCCEEDED": ("succeeded", "every step ended well or was not called for"),
    "FAILED": ("failed", "no reason was given"),
    "CANCELLED": ("cancelled", "it was ended before all its steps had run"),
    "CANCELED": ("cancelled", "it was ended before all its steps had run"),
}
_LONGEST = 2000


class Status(NamedTuple):
    """How a run ended. ``state`` is succeeded, failed or cancelled, or what the place says."""

    run: str
    state: str
    reason: str


def main(argv: Sequence[str] | None = None) -> None:
    """Tell. Raises InputError."""
    parser = contract.Arguments("components.report", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--status", required=True, metavar="JSON", help="how the run ended")
    status = read(parser.parse_args(argv).status)
    text = paragraph(status)
    print(text)
    with tracking.open() as track:
        track.tags({"trefoil.ending": status.state, "mlflow.note.content": text}, run=True)
        track.run_ended(status.state)


def read(text: str) -> Status:
    """Understand what the orchestrator says. Raises InputError."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise InputError(f"--status is not JSON: {error}") from None
    if not isinstance(found, dict) or not isinstance(found.get("state"), str):
        raise InputError(f"--status is no final status, an object with a state: {text[:200]}")
    problem = found.get("error")
    message = problem.get("message") if isinstance(problem, dict) else None
    state, otherwise = _ENDINGS.get(found["state"].upper(), (found["state"].lower(), ""))
    run = os.environ.get("TREFOIL_RUN_ID") or found.get("pipelineJobResourceName") or "the run"
    reason = str(message).strip() if message and state != "succeeded" else otherwise
    first = redacted(reason.partition("\n")[0])  # the rest is log
    return Status(str(run).rpartition("/")[2], state, first[:_LONGEST])


def paragraph(status: Status) -> str:
    """The same for a person."""
    known = any(status.state == word for word, _ in _ENDINGS.values())
    verb = {"cancelled": "was cancelled"}.get(status.state, status.state)
    ended = f"Run {status.run} {verb if known else f'ended as {status.state}'}"
    return f"{ended}: {status.reason}" if status.reason else ended


if __name__ == "__main__":
    contract.run(main)
