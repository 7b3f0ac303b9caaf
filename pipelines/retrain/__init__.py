"""``python -m pipelines retrain --event FILE``: train again as an event asks, or say why not.

trigger.py   what the event says, read as what anybody may have written
pushes.py    which pins a push changed
past.py      what ran before, as the place remembers it
deciding.py  whether to train, and why

A run is called by its event, so the same event again finds the run that it made, on any machine.
"""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path

from infra.plan import Json
from pipelines import cli, run

_SECONDS = {"h": 3600, "d": 86400, "w": 604800}


def configure(parser: argparse.ArgumentParser) -> None:
    """Flags of ``retrain``: those of ``run``, and the event."""
    add = parser.add_argument
    add(
        "--event",
        type=Path,
        required=True,
        metavar="FILE",
        help="the event, as GitHub tells it in JSON",
    )
    add(
        "--event-id", default=os.environ.get("GITHUB_RUN_ID", ""), metavar="ID",
        help="what tells a schedule or a dispatch from the next one (default: $GITHUB_RUN_ID)",
    )  # fmt: skip
    add("--branch", default="", metavar="NAME", help="whose pushes count (default: the main one)")
    add(
        "--max-age", type=_age, metavar="AGE",
        help="let a schedule retrain a champion older than this, as 30d, though nothing changed",
    )  # fmt: skip
    add(
        "--remote",
        default="",
        metavar="NAME",
        help="where DVC pulls from (default: as .dvc/config)",
    )
    run.configure(parser)


def retrain(arguments: argparse.Namespace) -> int:
    """Decide for each model that the event is about, and train. Raises TrefoilError."""
    from pipelines.retrain import deciding, trigger

    asked = trigger.read(arguments.event, arguments.event_id)
    outcomes = []
    for outcome in deciding.outcomes(asked, arguments):
        outcomes.append(outcome)
        if not arguments.json:
            outcome.tell(arguments)
    if arguments.json:
        documents: list[Json] = [outcome.data() for outcome in outcomes]
        first = next((each for each in outcomes if each.decision == "retrain"), outcomes[0]).data()
        cli.answer({**first, "models": documents} if documents[1:] else first)
    return max(outcome.code for outcome in outcomes)


def _age(text: str) -> float:
    """Read an age. Raises ArgumentTypeError."""
    found = re.fullmatch(r"(\d{1,5})([hdw])", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text} is no age such as 30d, 12h or 4w")
    return int(found[1]) * _SECONDS[found[2]]
