"""Verbs about what is being served: endpoints, stop."""

from __future__ import annotations

import argparse
import dataclasses
import time
from typing import Any

from pipelines import cli
from pipelines.flags import add_place
from pipelines.where import where

_COLUMNS = ("name", "version", "state", "url", "pid", "started", "previous")


def configure(parser: argparse.ArgumentParser) -> None:
    """Flags of ``endpoints``."""
    add_place(parser)


def configure_stop(parser: argparse.ArgumentParser) -> None:
    """Flags of ``stop``."""
    parser.add_argument("name", metavar="NAME", help="the endpoint")
    add_place(parser)


def endpoints(arguments: argparse.Namespace) -> int:
    """List the endpoints and how they are."""
    with where(arguments).reached() as here:
        found = here.provider.endpoint().endpoints(
            workspace=here.workspace, environment=here.ground
        )
    if arguments.json:
        cli.answer([dataclasses.asdict(each) for each in found])
    elif found:
        print(_table(found))
        for each in found:
            if each.message:
                cli.say(f"note: {each.message}")
    else:
        print("nothing is served here; python -m pipelines run ends with an endpoint")
    return cli.DONE


def stop(arguments: argparse.Namespace) -> int:
    """End an endpoint's server, once its requests are answered."""
    with where(arguments).reached() as here:
        found = here.provider.endpoint().stop(
            workspace=here.workspace, name=arguments.name, environment=here.ground
        )
    if arguments.json:
        cli.answer(dataclasses.asdict(found))
    else:
        print(f"{found.name} is stopped; its next deployment will be at {found.url} again")
    return cli.DONE


def _table(found: list[Any]) -> str:
    rows = [tuple(column.upper() for column in _COLUMNS)]
    rows += [tuple(_cell(getattr(each, column), column) for column in _COLUMNS) for each in found]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_COLUMNS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _cell(value: object, column: str) -> str:
    if value is None or value == "":
        return "-"
    if column == "started" and isinstance(value, float):
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(value))
    return str(value)
