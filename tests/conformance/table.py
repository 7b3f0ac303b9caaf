"""The table of plans and places: what runs where, and why not."""

from __future__ import annotations

import re
from pathlib import Path

from tests.conformance import trial
from tests.conformance.cases import CASES
from tests.conformance.places import places

DOCS = Path(__file__).parents[2] / "docs" / "conformance.md"
_HEAD = """# What runs where

Every plan of `tests/conformance` in every place, each verb of the seam used on it: lower, submit,
submit again, follow, status, logs, outputs, history, why, list, price; and cancel on a plan that
waits. **yes** means that all of it was right: states, values, the content of every artefact (so
their digests are equal everywhere), log lines and messages. *no* is refused before anything is
sent, for the reason below. What runs **with a GPU** was not run so far.

Made by `python -m tests.conformance --write`. A place that is rehearsed was not run for real.

"""


def refusals(irs: Path, folder: Path) -> dict[tuple[str, str], str]:
    """By plan and place, why the place does not take the plan; empty where it does."""
    found = {}
    for case in CASES:
        plan = trial.plan_of(case, irs, folder)
        for place in places():
            found[case.name, place.label] = trial.refusal(place, plan, folder)
    return found


def written(found: dict[tuple[str, str], str]) -> str:
    """The page."""
    labels = {place.label: place for place in places()}
    reasons = list(dict.fromkeys(reason for reason in found.values() if reason))
    lines = [f"| plan | {' | '.join(labels)} |", f"|---|{'---|' * len(labels)}"]
    for case in CASES:
        cells = [
            _cell(found[case.name, label], reasons, bool(case.lacking and place.needs))
            for label, place in labels.items()
        ]
        lines.append(f"| {case.name} | {' | '.join(cells)} |")
    notes = [f"{number}. {reason}" for number, reason in enumerate(reasons, 1)]
    return _HEAD + "\n".join([*lines, "", *notes]) + "\n"


def documented() -> dict[tuple[str, str], str]:
    """What the page says."""
    text = DOCS.read_text(encoding="utf-8")
    reasons = dict(re.findall(r"^(\d+)\. (.+)$", text, re.MULTILINE))
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    labels = rows[0][1:]
    return {
        (name, label): reasons[number.group()] if (number := re.search(r"\d+", cell)) else ""
        for name, *cells in rows[1:]
        for label, cell in zip(labels, cells, strict=True)
    }


def _cell(reason: str, reasons: list[str], with_gpu: bool) -> str:
    if reason:
        return f"*no* ({reasons.index(reason) + 1})"
    return "**with a GPU**" if with_gpu else "**yes**"
