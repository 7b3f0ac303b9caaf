"""``python -m pipelines rollback``: the last champion again, in registry and endpoint."""

from __future__ import annotations

import argparse

from pipelines import cli, registry
from pipelines.where import where


def configure(parser: argparse.ArgumentParser) -> None:
    """Flags of ``rollback``."""
    registry.add_model(parser)
    parser.add_argument(
        "--endpoint", metavar="NAME", help="the endpoint to move (default: called like the model)"
    )


def rollback(arguments: argparse.Namespace) -> int:
    """Move the alias back, then the traffic. Raises TrefoilError; the alias then stays moved."""
    here = where(arguments)
    workspace = here.workspace
    endpoint = here.provider.endpoint()
    done = registry.roll_back(arguments)
    name = arguments.endpoint or done.name
    url = None
    if done.model and any(each.name == name for each in endpoint.endpoints(workspace=workspace)):
        served = endpoint.deploy(
            workspace=workspace,
            name=name,
            version=done.version,
            model=done.model,
            model_name=done.name,
        )
        url = served.url
    if arguments.json:
        cli.answer({**registry.data(done), "endpoint_url": url})
        return cli.DONE
    print(f"version {done.version} is champion of {done.name} again")
    print(f"{name} serves it at {url}" if url else f"no endpoint {name} serves it")
    return cli.DONE
