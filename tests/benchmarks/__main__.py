"""``python -m tests.benchmarks [NAME ...] [--json]``: the tables of ``make bench``."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import sys

TABLES = (
    "startup",
    "orchestration",
    "rehearsal",
    "containers",
    "main_job",
    "training",
    "tracking",
    "serving",
    "images",
)


def main() -> None:
    """Print each table under its name. Benchmarks are no tests: they judge nothing."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(TABLES))
    parser.add_argument("--json", action="store_true", help="one JSON document for all")
    arguments = parser.parse_args()
    names = arguments.names or TABLES
    for name in names:
        if name not in TABLES:
            parser.error(f"there is no table {name}; there is {', '.join(TABLES)}")
    if arguments.json:
        print(json.dumps({name: json.loads(_printed(name)) for name in names}, indent=2))
        return
    for name in names:
        print(f"\n== {name}", flush=True)
        importlib.import_module(f"tests.benchmarks.{name}").main([])


def _printed(name: str) -> str:
    print(f"measuring {name}", file=sys.stderr)
    with contextlib.redirect_stdout(io.StringIO()) as out:
        importlib.import_module(f"tests.benchmarks.{name}").main(["--json"])
    return out.getvalue()


if __name__ == "__main__":
    main()
