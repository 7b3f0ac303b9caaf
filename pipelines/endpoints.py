"""Verbs about what is being served: endpoints, stop; and the endpoint's half of rollback."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import time
from pathlib import Path
from typing import Any

from infra import provider as providers
from infra.errors import UnsupportedError
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
    place, workspace = _place(arguments)
    found = place.endpoints(workspace=workspace)
    if arguments.json:
        cli.answer([dataclasses.asdict(each) for each in found])
    elif found:
        print(_table(found))
    else:
        print("nothing is served here; python -m pipelines run ends with an endpoint")
    return cli.DONE


def stop(arguments: argparse.Namespace) -> int:
    """End an endpoint's server, once its requests are answered."""
    place, workspace = _place(arguments)
    found = place.stop(workspace=workspace, name=arguments.name)
    if arguments.json:
        cli.answer(dataclasses.asdict(found))
    else:
        print(f"{found.name} is stopped; its next deployment will be at {found.url} again")
    return cli.DONE


def rollback(arguments: argparse.Namespace) -> int:
    """Serve the version before the present one again, without losing a request."""
    place, workspace = _place(arguments)
    found = place.rollback(workspace=workspace, name=arguments.name)
    if arguments.json:
        cli.answer(dataclasses.asdict(found))
    else:
        print(f"{found.name} serves version {found.version} again at {found.url}")
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
    if value is None:
        return "-"
    if column == "started" and isinstance(value, float):
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(value))
    return str(value)


def _place(arguments: argparse.Namespace) -> tuple[Any, Path]:
    """The module that knows the place's endpoints, and the workspace. Raises TrefoilError."""
    provider = providers.get(getattr(arguments, "provider", "local"))
    try:
        place = importlib.import_module(f"infra.{provider.name}.endpoint")
    except ModuleNotFoundError as error:
        if error.name != f"infra.{provider.name}.endpoint":
            raise
        raise UnsupportedError(f"{provider.name} serves nothing: it has no endpoints") from None
    workspace = getattr(arguments, "workspace", None)
    if workspace is None:
        workspace = where(arguments).workspace
    return place, workspace
