"""MLflow's database where it is an SQLite file.

MLflow makes and migrates its database when it is first used, and two processes that do so at once
destroy it; it also migrates, without asking, an older one that lacks a table. Here a new file is
made beside its place and moved there whole, under a lock, and a file of another version is refused
with what to do.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator
from pathlib import Path

from infra.errors import InputError, told
from infra.redaction import redacted

_SQLITE = "sqlite:///"
_MEMORY = "/dev/shm"  # noqa: S108  only a folder of random name is made there
_REVISION = re.compile(r"^(down_)?revision\s*(?::[^=]+)?=\s*[\"'](\w+)", re.MULTILINE)


def exists(uri: str) -> bool:
    """False where the address is an SQLite file that was not made yet: then nothing is in it."""
    file = file_of(uri)
    return file is None or (file.exists() and file.stat().st_size > 0)


def file_of(uri: str) -> Path | None:
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


def require_version(file: Path, uri: str) -> None:
    """See that a database is of this MLflow's version. Raises InputError."""
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
    known, newest = revisions()
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


def revisions() -> tuple[set[str], str]:
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


def make(file: Path) -> None:
    """Make a new database, whole or not at all; in memory, where its 50 migrations cost no disk.

    Raises InputError where there is no room or no permission, and whatever MLflow raises.
    """
    import shutil
    import tempfile

    from mlflow import MlflowClient

    memory = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with locked(file), tempfile.TemporaryDirectory(dir=memory) as place:
            if exists(f"{_SQLITE}{file}"):
                return
            made, partial = Path(place, file.name), file.with_name(f".{file.name}.partial")
            MlflowClient(tracking_uri=f"{_SQLITE}{made}").search_experiments(max_results=1)
            shutil.copyfile(made, partial)
            partial.replace(file)
    except OSError as error:
        raise InputError(f"{file} cannot be made: {told(error)}") from None


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    """Be the only one on this machine who makes something in the database."""
    with file.with_name(f".{file.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
