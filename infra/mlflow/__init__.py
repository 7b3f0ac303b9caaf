"""How MLflow is reached: its address, and a client that costs little to import.

database.py   its database where it is an SQLite file
runs.py       the experiment, and the run that stands for a pipeline run
errors.py     what it raises, for a person
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from infra.mlflow import database
from infra.mlflow.database import exists
from infra.mlflow.errors import told
from infra.mlflow.runs import KIND, RUN_ID, experiment, pipeline_run
from infra.provider import WORKSPACE

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = [
    "KIND", "RUN_ID", "address", "connect", "exists", "experiment", "pipeline_run", "told",
]  # fmt: skip

_DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


def address(environment: Mapping[str, str]) -> str:
    """Where MLflow is: MLFLOW_TRACKING_URI, or else a database in the workspace.

    It has a folder of its own there: a step in a container is given that, not the workspace.
    """
    workspace = Path(environment.get("TREFOIL_WORKSPACE") or WORKSPACE).resolve()
    own = workspace / "mlflow" / "mlflow.db"
    return environment.get("MLFLOW_TRACKING_URI") or f"sqlite:///{own}"


def connect(uri: str) -> MlflowClient:
    """A client for the address, tried out. Makes a new SQLite file.

    Raises InputError (no such address, a database of another version), CredentialsError, and
    ProviderError where nothing answers.
    """
    import logging  # costs a run that tracks nothing more than its own bookkeeping

    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    file, there = database.file_of(uri), exists(uri)
    if file and there:
        database.require_version(file, uri)
    with _quickly(), told(uri):
        from mlflow import MlflowClient

        if file and not there:
            database.make(file)
        client = MlflowClient(tracking_uri=uri)
        client.search_experiments(max_results=1)
    return client


@contextlib.contextmanager
def _quickly() -> Iterator[None]:
    """Import mlflow without its warnings, and without looking for garbage meanwhile.

    What it loads stays to the end: told so, the collector leaves it alone. That saves 0.8 of the
    2.2 CPU seconds of a process that connects.
    """
    if "mlflow" in sys.modules:
        yield
        return
    collecting = gc.isenabled()
    gc.disable()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        gc.freeze()
        if collecting:
            gc.enable()
