"""``python -m components.drift``: have recent data drifted from those that a model learnt?

Both are what prepare writes. The training rows of the reference are held against every recent row,
see ``training.metrics.drift``. Into the report directory go

    report.json         format, drifted, significance, seed, permutations, space, rows, and
        reference, recent   name and md5 of the data
        findings            a test each: statistic, p, adjusted (by Holm, for the number of tests),
                            drifted (adjusted is at most the significance), psi, and ``anchor``,
                            the same between two halves of the reference
        psi                 above it a distribution is commonly held to have moved
        dispatch            what GitHub's repository_dispatch takes; null without drift
    event.json          with drift: the event that this makes, for ``pipelines retrain --event``
    figures/drift.png   the tests, and the strangest of the recent images

The same data and seed give the same bytes.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components import contract
from training.errors import InputError
from training.files import write_json

if TYPE_CHECKING:
    from training.data import Spec
    from training.metrics.drift import Comparison, Finding, Shift

FORMAT = 1
SHOWN = 36
_LEAST, _MOST = 0.001, 0.2
_NAME, _REPOSITORY = r"\w[\w.-]{0,99}", r"[\w.-]{1,100}/[\w.-]{1,100}"


def main(argv: Sequence[str] | None = None) -> None:
    """Compare. Raises InputError where the data are of two forms, or too few."""
    arguments = _parser().parse_args(argv)
    _check(arguments)
    from training import data, figures
    from training.metrics.drift import PSI, Comparison

    reference, recent = data.load(arguments.reference), data.load(arguments.recent)
    comparison = Comparison(reference, recent, arguments.seed)
    findings = comparison.findings(arguments.significance)
    drifted = any(each.adjusted <= arguments.significance for each in findings)
    dispatch = _dispatch(findings, reference.spec, recent.spec) if drifted else None
    with contract.output_directory(arguments.report) as directory:
        (directory / "figures").mkdir()
        typical, strange = comparison.strangest(SHOWN)
        bars = [(each.name, each.adjusted, each.shift.psi, each.anchor.psi) for each in findings]
        picture = directory / "figures" / "drift.png"
        figures.drift(picture, bars, arguments.significance, PSI, typical, strange)
        specs = {"reference": _told(reference.spec), "recent": _told(recent.spec)}
        told = _report(comparison, findings, arguments)
        verdict = {"drifted": drifted, "psi": PSI, "dispatch": dispatch}
        write_json(directory / "report.json", {**told, **specs, **verdict})
        if dispatch:
            write_json(directory / "event.json", _event(dispatch, arguments.repository))
    contract.write_value(arguments.drifted, drifted)
    if arguments.dispatch:
        contract.write_value(arguments.dispatch, json.dumps(dispatch) if dispatch else "")
    _tell(findings, drifted, arguments.significance)


def _parser() -> contract.Arguments:
    parser = contract.Arguments(
        prog="python -m components.drift",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--reference", type=Path, required=True, metavar="DIR", help="what the model learnt")
    add("--recent", type=Path, required=True, metavar="DIR", help="what came since")
    add("--significance", type=float, default=0.01, metavar="P",
        help="how often data that have not drifted may be said to have")  # fmt: skip
    add("--seed", type=int, default=0, help="of the permutations, and of the rows of large data")
    add("--repository", default="local/trefoil", metavar="OWNER/NAME", help="for event.json")
    add("--report", type=Path, required=True, metavar="DIR", help="where to write")
    add("--drifted", type=Path, required=True, metavar="FILE", help="takes true or false")
    add("--dispatch", type=Path, metavar="FILE", help="takes the dispatch as JSON, or nothing")
    return parser


def _check(arguments: argparse.Namespace) -> None:
    if not _LEAST <= arguments.significance <= _MOST:  # nan is refused too
        raise InputError(
            f"--significance {arguments.significance:g} is not within {_LEAST:g}..{_MOST:g}"
        )
    if arguments.seed < 0:
        raise InputError(f"--seed {arguments.seed} is below 0")
    if not re.fullmatch(_REPOSITORY, arguments.repository):
        raise InputError(f"--repository {arguments.repository!r} is not OWNER/NAME")


def _report(
    comparison: Comparison, findings: list[Finding], arguments: argparse.Namespace
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "significance": arguments.significance,
        "seed": arguments.seed,
        "permutations": comparison.permutations(arguments.significance),
        "space": comparison.space.name,
        "rows": {
            "reference": len(comparison.reference.rows), "recent": len(comparison.recent.rows)
        },
        "findings": [
            {
                "name": each.name,
                "test": each.test,
                **_numbers(each.shift),
                "adjusted": _short(each.adjusted),
                "drifted": each.adjusted <= arguments.significance,
                "anchor": _numbers(each.anchor),
            }
            for each in findings
        ],
    }  # fmt: skip


def _numbers(shift: Shift) -> dict[str, float]:
    found = {name: value for name, value in shift._asdict().items() if value is not None}
    return {name: _short(value) for name, value in found.items()}


def _dispatch(findings: list[Finding], reference: Spec, recent: Spec) -> dict[str, Any]:
    """The same recent data are the same event. Data of a name that no pin can have go unnamed."""
    strongest = min(findings, key=lambda each: each.adjusted)
    payload = {
        "id": recent.md5,
        "metric": f"{strongest.test}-{strongest.name.replace(' ', '-')}",
        "score": _short(strongest.shift.statistic),
    }
    if re.fullmatch(_NAME, reference.name):
        payload["data"] = reference.name
    return {"event_type": "drift-detected", "client_payload": payload}


def _event(dispatch: dict[str, Any], repository: str) -> dict[str, Any]:
    """As GitHub tells workflows of that dispatch, as far as retrain looks at it."""
    return {
        "action": dispatch["event_type"],
        "client_payload": dispatch["client_payload"],
        "repository": {"full_name": repository, "default_branch": "main"},
    }


def _told(spec: Spec) -> dict[str, str]:
    return {"name": spec.name, "md5": spec.md5}


def _short(value: float) -> float:
    """Six digits: what another machine's order of adding does not change."""
    return float(f"{value:.6g}")


def _tell(findings: list[Finding], drifted: bool, significance: float) -> None:
    moved = [each for each in findings if each.adjusted <= significance]
    for each in sorted(moved, key=lambda each: each.adjusted)[:10]:
        psi = "" if each.shift.psi is None else f", psi {each.shift.psi:.2f}"
        print(
            f"{each.name:12} {each.test:5} {each.shift.statistic:8.3f} (halves of the reference "
            f"{each.anchor.statistic:.3f}), adjusted p {each.adjusted:.2g}{psi}",
            file=sys.stderr,
        )
    verdict = "drifted" if drifted else "no drift"
    print(f"{verdict}: {len(moved)} of {len(findings)} tests at {significance:g}", file=sys.stderr)


if __name__ == "__main__":
    # Small matrices: a second thread costs more than it saves, and rounds differently.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    contract.run(main)
