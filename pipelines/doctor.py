"""``python -m pipelines doctor``: is this machine, and is this workspace, fit for a run?"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from infra.errors import TrefoilError
from infra.plan import Json
from infra.redaction import redacted
from pipelines import cli
from pipelines.flags import add_place
from pipelines.where import Where, where

_LIBRARIES = {
    "train": ("torch", "sklearn", "pyarrow"),
    "tracking": ("mlflow",),
    "serve": ("onnxruntime", "uvicorn"),
    "data": ("dvc",),
    "kfp": ("kfp",),
}
_ROOM_GB = 2.0


class Check(NamedTuple):
    """One thing that was looked at. ``needed`` ones decide the exit code."""

    name: str
    well: bool
    words: str
    needed: bool = True


def configure(parser: argparse.ArgumentParser) -> None:
    """Flags of ``doctor``."""
    add_place(parser)


def doctor(arguments: argparse.Namespace) -> int:
    """Look at everything a run needs; 0 if all that is needed is there, else 2."""
    checks = list(_checks(arguments))
    if arguments.json:
        document: Json = [
            {"name": c.name, "well": c.well, "words": c.words, "needed": c.needed} for c in checks
        ]
        cli.answer(document)
    else:
        for check in checks:
            mark = "✓" if check.well else "✗" if check.needed else "!"
            print(f"{mark} {check.name:<10} {check.words}")
    return cli.WRONG if any(c.needed and not c.well for c in checks) else cli.DONE


def _checks(arguments: argparse.Namespace) -> Iterator[Check]:
    version = ".".join(str(part) for part in sys.version_info[:3])
    yield Check("python", sys.version_info >= (3, 11), f"{version} at {sys.executable}")
    for extra, libraries in _LIBRARIES.items():
        missing = [name for name in libraries if importlib.util.find_spec(name) is None]
        words = f"{', '.join(missing)} missing: make setup" if missing else ", ".join(libraries)
        yield Check(extra, not missing, words)
    git = shutil.which("git")
    yield Check("git", bool(git), git or "not on PATH", needed=False)
    yield from _workspace(arguments)


def _workspace(arguments: argparse.Namespace) -> Iterator[Check]:
    try:
        here = where(arguments)
    except TrefoilError as error:
        yield Check("settings", False, str(error))
        return
    yield Check("settings", True, arguments.settings or "defaults and environment")
    yield _docker(needed=getattr(here.own, "runner", "") == "docker")
    workspace = here.workspace
    try:
        workspace.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=workspace):
            pass
    except OSError as error:
        yield Check("workspace", False, f"{workspace} cannot be written: {error.strerror}")
        return
    yield _registry(here)
    try:
        with here.reached() as there:
            yield from (Check(*each) for each in there.provider.checks(there.own))
    except TrefoilError as error:
        yield Check(here.provider.name, False, str(error))
    waiting = _unsent(workspace)
    yield Check("tracking", not waiting, waiting or "all is sent", needed=False)
    free = shutil.disk_usage(workspace).free / 1e9
    yield Check("workspace", free > _ROOM_GB, f"{workspace}, {free:.0f} GB free")


def _docker(needed: bool) -> Check:
    """The program, and whether a daemon answers it."""
    from infra import docker

    try:
        version = docker.ask("version", "--format", "{{.Server.Version}}").strip()
        return Check("docker", True, f"{version}, by {docker.program()}", needed)
    except TrefoilError as error:
        return Check("docker", False, str(error), needed)


def _registry(here: Where) -> Check:
    """MLflow's server: does it answer? Its database: of the version that is installed here?"""
    from infra import mlflow
    from infra.mlflow import database
    from pipelines.registry import tracking_uri

    uri = tracking_uri(here.common)
    file = database.file_of(uri)
    if file is not None and not file.exists():
        return Check("registry", True, "nothing is registered yet")
    try:
        if file is None:
            mlflow.connect(uri)
        else:
            database.require_version(file, uri)
    except TrefoilError as error:
        return Check("registry", False, str(error))
    return Check("registry", True, redacted(uri) if file is None else str(file))


def _unsent(workspace: Path) -> str:
    """Which runs' tracking waits for which server, and what to do; empty where all is sent."""
    from components.delivery import Delivery

    runs: dict[str, list[str]] = {}
    for spool in sorted((workspace / "tracking").glob("*/")):
        server = Delivery(spool, "").unsent()
        if server is not None:
            runs.setdefault(server or "MLflow", []).append(spool.name)
    if not runs:
        return ""
    told = [f"{', '.join(names)} not sent to {server} yet" for server, names in runs.items()]
    return f"{'; '.join(told)}: once that answers, the next run with its tracking_uri sends it"
