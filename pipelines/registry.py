"""What is done to registered models: the verb promote, and the registry's half of rollback."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from infra import mlflow
from infra.errors import InputError, nearest
from infra.plan import Json
from pipelines import cli, settings
from pipelines.flags import add_place
from pipelines.where import where

if TYPE_CHECKING:
    from infra.registry import Promotion, Registry


def configure_promote(parser: argparse.ArgumentParser) -> None:
    """Flags of ``promote``."""
    parser.add_argument(
        "version", nargs="?", metavar="VERSION", help="which version (default: the challenger)"
    )
    add_model(parser)


def add_model(parser: argparse.ArgumentParser) -> None:
    """The flags that say which model, and where."""
    parser.add_argument(
        "--model-name", metavar="NAME", help="the registered model (default: the only one)"
    )
    add_place(parser)


def promote(arguments: argparse.Namespace) -> int:
    """Make a version champion; the one before it is remembered for ``rollback``."""
    registry = connect(arguments)
    name = model_name(registry, arguments.model_name)
    if arguments.version:
        version = registry.version(name, arguments.version.removeprefix("v"))
    else:
        challenger = registry.challenger(name)
        if challenger is None:
            raise InputError(f"{name} has no challenger; name a version: promote VERSION")
        version = challenger
    before = registry.champion(name)
    done = registry.promote(version)
    if before and before.version == version.version:
        _tell(done, f"version {version.version} of {name} is champion already", arguments.json)
    else:
        _tell(done, f"version {version.version} is champion of {name}", arguments.json)
    return cli.DONE


def tracking_uri(common: settings.Settings) -> str:
    """MLflow's address by the settings. ``none`` turns tracking off, not the registry."""
    uri = "" if common.tracking_uri == "none" else common.tracking_uri
    return mlflow.address({"MLFLOW_TRACKING_URI": uri, "TREFOIL_WORKSPACE": common.workspace})


def connect(arguments: argparse.Namespace) -> Registry:
    """The registry that the settings name. Raises InputError where nothing was registered yet."""
    here = where(arguments)
    uri = tracking_uri(here.common)
    if not mlflow.exists(uri):
        raise InputError(
            f"nothing is registered in {here.workspace} yet; start with: python -m pipelines run"
        )
    from infra.registry import Registry

    return Registry(uri)


def model_name(registry: Registry, asked: str | None) -> str:
    """The name asked for, or the only one that there is. Raises InputError."""
    names = registry.names()
    if asked and asked not in names:
        hint = nearest(asked, names, "there is ") if names else "there is none yet"
        raise InputError(f"there is no registered model {asked}; {hint}")
    if asked:
        return asked
    if not names:
        raise InputError("no model is registered yet; a run whose gate passes registers one")
    if len(names) != 1:
        raise InputError(f"say which model with --model-name; there is {', '.join(names)}")
    return names[0]


def data(done: Promotion) -> dict[str, Json]:
    """As JSON."""
    return {
        "name": done.name,
        "version": done.version,
        "previous": done.previous,
        "source": done.source,
    }


def _tell(done: Promotion, words: str, as_json: bool) -> None:
    if as_json:
        cli.answer(data(done))
        return
    print(f"{words} (before: version {done.previous})" if done.previous else words)
    cli.say("endpoints serve what they served; to serve it: python -m pipelines deploy")
