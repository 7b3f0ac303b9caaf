"""``python -m pipelines rollback``: the last champion again, in registry and endpoint."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from pipelines import cli, registry
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
    """What was done in the registry, and the endpoint's URL where there is one to move."""
    workspace, endpoint = here.workspace, here.provider.endpoint()
    done = registry.roll_back(arguments)
    name = arguments.endpoint or done.name
    if not done.model or all(each.name != name for each in endpoint.endpoints(workspace=workspace)):
        return done, None
    served = endpoint.deploy(
        workspace=workspace,
        name=name,
        version=done.version,
        model=done.model,
        model_name=done.name,
    )
    return done, served.url
