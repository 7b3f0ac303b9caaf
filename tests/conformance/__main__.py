"""``python -m tests.conformance [--write]``: run every plan in every place and print the table."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from infra.errors import TrefoilError
from tests.conformance import checks, table, trial
from tests.conformance.cases import CASES
from tests.conformance.places import places


def main() -> int:
    """Print what is not right as it is met, then the table; 1 where anything was not."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write {table.DOCS.name}, if all is")
    write = parser.parse_args().write
    wrong = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        irs = folder / "irs"
        irs.mkdir()
        trial.compiled(irs)
        found = table.refusals(irs, folder)
        for place in places():
            for number, case in enumerate(CASES):
                if found[case.name, place.label]:
                    continue
                own = folder / f"{place.label}-{number}"
                own.mkdir()
                try:
                    plan = trial.plan_of(case, irs, own)
                    checks.hold(trial.attempt(place, plan, own), case)
                except (AssertionError, TrefoilError) as error:
                    wrong += 1
                    print(f"{place.label}: {case.name}: {error}", file=sys.stderr)
    print(table.written(found))
    if write and not wrong:
        table.DOCS.write_text(table.written(found), encoding="utf-8")
    return min(wrong, 1)


if __name__ == "__main__":
    sys.exit(main())
