"""``python -m tests.benchmarks [NAME ...]``: the tables of ``make bench``, all or those named."""

from __future__ import annotations

import argparse
import importlib

TABLES = ("startup", "orchestration", "main_job", "training", "tracking", "serving")


def main() -> None:
    """Print each table under its name. Benchmarks are no tests: they judge nothing."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(TABLES))
    names = parser.parse_args().names or TABLES
    for name in names:
        if name not in TABLES:
            parser.error(f"there is no table {name}; there is {', '.join(TABLES)}")
    for name in names:
        print(f"\n== {name}", flush=True)
        importlib.import_module(f"tests.benchmarks.{name}").main()


if __name__ == "__main__":
    main()
