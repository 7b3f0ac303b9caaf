"""``python -m pipelines deploy``: serve a registered version, without a run."""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from infra.errors import InputError
from infra.served import Endpoint
from pipelines import cli, registry
from pipelines.where import Where, where

if TYPE_CHECKING:
    from infra.registry import Registry, Version


def configure(parser: argparse.ArgumentParser) -> None:
    """Flags of ``deploy``."""
    parser.add_argument(
        "version", nargs="?", metavar="VERSION", help="which version (default: the champion)"
    )
    registry.add_model(parser)
    parser.add_argument(
        "--endpoint", metavar="NAME", help="where (default: an endpoint called like the model)"
    )
    parser.add_argument(
        "--canary", type=int, default=0, metavar="PERCENT",
        help="let it answer only so many of the requests, beside the version there is",
    )  # fmt: skip


def deploy(arguments: argparse.Namespace) -> int:
    """Serve it; traffic moves once it is healthy. Raises TrefoilError; the old one then serves."""
    with where(arguments).reached() as here:
        served = _served(here, arguments)
    if arguments.json:
        cli.answer(dataclasses.asdict(served))
    else:
        print(f"{served.name} serves version {served.version} at {served.url}")
    return cli.DONE


def _served(here: Where, arguments: argparse.Namespace) -> Endpoint:
    known = registry.connect(arguments)
    name = registry.model_name(known, arguments.model_name)
    endpoint, canary = arguments.endpoint or name, arguments.canary
    here.provider.endpoint().check(
        workspace=here.workspace, name=endpoint, canary=canary, environment=here.ground
    )
    return serve(here, known, _version(known, name, arguments.version), endpoint, canary)


def serve(here: Where, known: Registry, version: Version, endpoint: str, canary: int) -> Endpoint:
    """Serve a version at an endpoint, from the registry's own copy of it, verified."""
    told = dict(here.provider.environment(here.own))
    if here.rehearsed:
        told["MLFLOW_TRACKING_URI"] = registry.tracking_uri(here.common)
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model"
        known.download(version, model)
        served: Endpoint = here.provider.endpoint().deploy(
            workspace=here.workspace,
            name=endpoint,
            version=version.version,
            model=model,
            model_name=version.name,
            canary=canary,
            environment=told,
        )
    return served


def _version(known: Registry, name: str, asked: str | None) -> Version:
    if asked:
        return known.version(name, asked.removeprefix("v"))
    champion = known.champion(name)
    if champion is None:
        raise InputError(f"{name} has no champion; name a version: deploy VERSION")
    return champion
