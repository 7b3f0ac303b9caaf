"""How MLflow is reached: its address, a client that costs little to import, the run of a pipeline.

MLflow makes and migrates its database when it is first used, and two processes that do so at once
destroy it; it also migrates, without asking, an older one that lacks a table. Here a new SQLite
file is made beside its place and moved there whole, under a lock, and a file of another version
is refused with what to do.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import logging
import os
import re
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.errors import CredentialsError, InputError, ProviderError, TrefoilError
from infra.provider import WORKSPACE
from infra.redaction import redacted

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

RUN_ID, KIND = "trefoil.run_id", "trefoil.kind"
_SQLITE = "sqlite:///"
_MEMORY = "/dev/shm"  # noqa: S108  only a folder of random name is made there
_DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
_NOT_NEEDED = ("pandas", "numpy", "scipy", "pygments")
"""What mlflow imports if it is there, as mlflow-skinny does without: 0.4 of 1.6 CPU seconds."""
_REVISION = re.compile(r"^(down_)?revision\s*(?::[^=]+)?=\s*[\"'](\w+)", re.MULTILINE)


def address(environment: Mapping[str, str]) -> str:
    """Where MLflow is: MLFLOW_TRACKING_URI, or else a database in the workspace.

    It has a folder of its own there: a step in a container is given that, not the workspace.
    """
    workspace = Path(environment.get("TREFOIL_WORKSPACE") or WORKSPACE).resolve()
    own = workspace / "mlflow" / "mlflow.db"
    return environment.get("MLFLOW_TRACKING_URI") or f"{_SQLITE}{own}"


def exists(uri: str) -> bool:
    """False where the address is an SQLite file that was not made yet: then nothing is in it."""
    file = _file(uri)
    return file is None or (file.exists() and file.stat().st_size > 0)


def connect(uri: str) -> MlflowClient:
    """A client for the address, tried out. Makes a new SQLite file.

    Raises InputError (no such address, a database of another version), CredentialsError, and
    ProviderError where nothing answers.
    """
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    file = _file(uri)
    if file is not None:
        _require_version(file, uri)
        if not exists(uri):
            _make(file)
    with _lean(), told(uri):
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=uri)
        client.search_experiments(max_results=1)
    return client


@contextlib.contextmanager
def told(uri: str) -> Iterator[None]:
    """Turn what MLflow raises into one sentence. Raises TrefoilError."""
    try:
        yield
    except TrefoilError:
        raise
    except ImportError as error:
        raise InputError(
            f"MLflow cannot be used here ({error}): install the extra tracking, or make setup"
        ) from None
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in ("mlflow", "requests", "sqlalchemy"):
            raise
        raise _translated(error, uri) from None


def experiment(client: MlflowClient, uri: str, environment: Mapping[str, str]) -> str:
    """Id of the experiment that the environment names, made where there is none.

    Raises InputError where it was deleted.
    """
    if found := environment.get("MLFLOW_EXPERIMENT_ID"):
        return found
    name = environment.get("MLFLOW_EXPERIMENT_NAME") or "trefoil"
    there = client.get_experiment_by_name(name)
    if there is None:
        file = _file(uri)
        place = (file.parent / "mlartifacts").as_uri() if file else None
        try:
            return str(client.create_experiment(name, artifact_location=place))
        except _mlflow_error() as error:
            there = client.get_experiment_by_name(name)  # somebody else made it just now
            if there is None:
                raise _translated(error, uri) from error
    if there.lifecycle_stage != "active":
        raise InputError(
            f"the MLflow experiment {name} was deleted; choose another with the setting experiment,"
            f" or bring it back: mlflow experiments restore -x {there.experiment_id}"
        )
    return str(there.experiment_id)


def pipeline_run(
    client: MlflowClient,
    uri: str,
    where: str,
    run_id: str,
    tags: Mapping[str, str],
    began: int | None = None,
) -> str:
    """MLflow's id of the run that stands for a pipeline run, made where there is none.

    Whoever comes first makes it. On one machine a lock sees to that. On a server, two that come at
    once may both make one; then both take the older, which is why it begins when it is made and
    not when it ``began``, and the other is removed.
    """
    file = _file(uri)
    with _locked(file) if file else contextlib.nullcontext():
        if found := _runs(client, where, run_id):
            return found[0]
        made = client.create_run(
            where,
            start_time=began if began and file else time.time_ns() // 1_000_000,
            tags={**tags, RUN_ID: run_id, KIND: "run"},
            run_name=run_id,
        )
        mine = str(made.info.run_id)
        first = mine if file else _runs(client, where, run_id)[0]
        if first != mine:
            client.delete_run(mine)
        return first


def _runs(client: MlflowClient, where: str, run_id: str) -> list[str]:
    found = client.search_runs(
        [where],
        f"tags.`{RUN_ID}` = '{run_id}' and tags.`{KIND}` = 'run'",
        order_by=["attributes.start_time ASC", "attributes.run_id ASC"],
        max_results=10,
    )
    return [str(run.info.run_id) for run in found]


def _file(uri: str) -> Path | None:
    """The file of an SQLite address, None for any other. Raises InputError."""
    if not uri.startswith("sqlite"):
        return None
    if not uri.startswith(_SQLITE) or not (name := uri.removeprefix(_SQLITE).partition("?")[0]):
        raise InputError(
            f"{uri} is no address of a file; write it like sqlite:////folder/mlflow.db"
        )
    if name == ":memory:":
        raise InputError("MLflow's database must be a file: steps are processes of their own")
    return Path(name).resolve()


def _require_version(file: Path, uri: str) -> None:
    """See that a database that is there is of this MLflow's version. Raises InputError."""
    if not exists(uri):
        return
    import sqlite3

    try:
        with contextlib.closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as database:
            tables = {row[0] for row in database.execute("select name from sqlite_master")}
            if "alembic_version" not in tables:
                raise InputError(f"{file} is an SQLite database, but not one of MLflow's")
            version = database.execute("select version_num from alembic_version").fetchone()
    except sqlite3.Error as error:
        raise InputError(f"{file} cannot be read as MLflow's database: {error}") from None
    found = version[0] if version else "none"
    known, newest = _revisions()
    if found == newest or not newest:
        return
    if found in known:
        raise InputError(
            f"{file} was made by an older MLflow (schema {found}); "
            f"copy it somewhere safe, then run: mlflow db upgrade {redacted(uri)}"
        )
    raise InputError(
        f"{file} was made by a newer MLflow (schema {found}, unknown here); install that MLflow, "
        "or choose another database with the setting tracking_uri"
    )


def _revisions() -> tuple[set[str], str]:
    """The schemas that the installed MLflow knows, and the newest; read without importing it."""
    from importlib.util import find_spec

    spec = find_spec("mlflow")
    places = spec.submodule_search_locations if spec else None
    known, before = set[str](), set[str]()
    for place in places or ():
        for file in Path(place, "store", "db_migrations", "versions").glob("*.py"):
            for down, revision in _REVISION.findall(file.read_text(encoding="utf-8")):
                (before if down else known).add(revision)
    newest = known - before
    return known, newest.pop() if len(newest) == 1 else ""


def _make(file: Path) -> None:
    """Make a new database, whole or not at all; in memory, where its 50 migrations cost no disk."""
    import shutil
    import tempfile

    memory = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with _locked(file), tempfile.TemporaryDirectory(dir=memory) as place:
            if exists(f"{_SQLITE}{file}"):
                return
            made, partial = Path(place, file.name), file.with_name(f".{file.name}.partial")
            with _lean(), told(f"{_SQLITE}{file}"):
                from mlflow import MlflowClient

                MlflowClient(tracking_uri=f"{_SQLITE}{made}").search_experiments(max_results=1)
            shutil.copyfile(made, partial)
            partial.replace(file)
    except OSError as error:
        raise InputError(f"{file} cannot be made: {error.strerror}") from None


@contextlib.contextmanager
def _locked(file: Path) -> Iterator[None]:
    with file.with_name(f".{file.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _lean() -> Iterator[None]:
    """Import mlflow without what it does not need here, and without its warnings.

    What it loads stays to the end: told so, the collector leaves it alone, 0.4 s at exit.
    """
    if "mlflow" in sys.modules:
        yield
        return
    hidden = [name for name in _NOT_NEEDED if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: not importable
    collecting = gc.isenabled()
    gc.disable()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)
        gc.freeze()
        if collecting:
            gc.enable()


def _mlflow_error() -> type[MlflowException]:
    from mlflow.exceptions import MlflowException

    found: type[MlflowException] = MlflowException
    return found


def _translated(error: Any, uri: str) -> TrefoilError:
    where = f"MLflow at {redacted(uri)}"
    first = redacted(str(error).strip().partition("\n")[0])
    code = getattr(error, "error_code", "")
    if "out-of-date database schema" in first:
        return InputError(f"{where} is of another version; run: mlflow db upgrade {redacted(uri)}")
    if code in ("UNAUTHENTICATED", "PERMISSION_DENIED") or "error code 401" in first:
        return CredentialsError(
            f"{where} refuses us; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, "
            "or MLFLOW_TRACKING_TOKEN"
        )
    if "Max retries exceeded" in first or type(error).__module__.startswith("requests"):
        return ProviderError(f"{where} does not answer; see that it runs and can be reached")
    return ProviderError(f"{where} says: {first}")
