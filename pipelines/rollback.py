"""``python -m pipelines rollback``: the last champion again, in registry and endpoint."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from infra.errors import InputError, nearest
from pipelines import cli, registry
from pipelines.deploy import serve
from pipelines.where import Where, where

if TYPE_CHECKING:
    from infra.registry import Promotion


def configure(parser: argparse.ArgumentParser) -> None:
    """Flags of ``rollback``."""
    registry.add_model(parser)
    parser.add_argument(
        "--endpoint", metavar="NAME", help="the endpoint to move (default: called like the model)"
    )


def rollback(arguments: argparse.Namespace) -> int:
    """Move the alias back, then the traffic. Raises TrefoilError; the alias then stays moved."""
    with where(arguments).reached() as here:
        done, url = _moved(here, arguments)
    if arguments.json:
        cli.answer({**registry.data(done), "endpoint_url": url})
        return cli.DONE
    name = arguments.endpoint or done.name
    print(f"version {done.version} is champion of {done.name} again")
    print(f"{name} serves it at {url}" if url else f"no endpoint {name} serves it")
    return cli.DONE


def _moved(here: Where, arguments: argparse.Namespace) -> tuple[Promotion, str | None]:
    """Move both; the URL is that of the endpoint, where there is one."""
    place = here.provider.endpoint()
    found = place.endpoints(workspace=here.workspace, environment=here.ground)
    there = [each.name for each in found]
    if arguments.endpoint and arguments.endpoint not in there:
        hint = nearest(arguments.endpoint, there, "there is ")
        raise InputError(f"there is no endpoint {arguments.endpoint}; {hint}")
    known = registry.connect(arguments)
    done = known.roll_back(registry.model_name(known, arguments.model_name))
    name = arguments.endpoint or done.name
    if name not in there:
        return done, None
    served = serve(here, known, known.version(done.name, done.version), name, canary=0)
    return done, served.url
