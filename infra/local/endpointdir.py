"""The directory of one endpoint, and the only file that knows its layout.

endpoints/NAME/
    endpoint.json     the address, the version served and the one before it
    models/DIGEST/    copies of those versions' models
    servers/ID/       see infra.local.server
    lock              held by whoever changes the endpoint
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from infra.errors import InputError
from infra.local.candidate import Candidate, ask
from infra.local.server import DRAIN, Server
from infra.plan import Json
from infra.served import Endpoint, EndpointState
from infra.storage import difference, write_whole

HOST = "127.0.0.1"
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class Release:
    """A version of a registered model, and the digest of its files."""

    model_name: str
    version: str
    digest: str


@dataclass(frozen=True)
class Record:
    """endpoint.json. ``server`` is the id of the server that serves, empty when stopped."""

    port: int
    current: Release
    previous: Release | None
    server: str
    started: float


class Place:
    """The directory of one endpoint."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.name = root.name
        self._record = root / "endpoint.json"

    @contextlib.contextmanager
    def locked(self, wait: bool = True) -> Iterator[bool]:
        """Be the one who changes the endpoint; False where another one is and ``wait`` is not."""
        with contextlib.ExitStack() as held:
            try:
                lock = held.enter_context((self.root / "lock").open("a"))
                fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except OSError:
                if wait:
                    raise
                yield False
                return
            yield True

    def record(self) -> Record | None:
        """What endpoint.json says, None where nothing was deployed yet. Raises InputError."""
        file = self._record
        try:
            return _record(json.loads(file.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, LookupError, TypeError) as error:
            raise InputError(
                f"{file} is damaged ({error}); restore it, or remove it and give "
                f"`python -m pipelines deploy --endpoint {self.name}`, which ends what still "
                "serves there and serves anew, at another address"
            ) from None

    def write(self, record: Record) -> None:
        """Replace endpoint.json, at once."""
        write_whole(self._record, json.dumps(asdict(record), indent=1))

    def model(self, release: Release) -> Path:
        """Where a release's model is kept."""
        return self.root / "models" / release.digest

    def keep(self, release: Release, source: Path, files: dict[str, list[Json]]) -> None:
        """Copy a release's model here, unless it is here whole: a run's files may be cleaned."""
        kept = self.model(release)
        if difference(kept, files):
            partial = kept.with_name(f".{kept.name}.partial")
            shutil.rmtree(kept, ignore_errors=True)
            shutil.rmtree(partial, ignore_errors=True)
            shutil.copytree(source, partial)
            partial.rename(kept)

    def server(self, server_id: str) -> Server | None:
        """The server of that id; None for none."""
        return Server(self.root / "servers" / server_id) if server_id else None

    def start(self, release: Release) -> Candidate:
        """Start a server of a release, without traffic."""
        folder = self.root / "servers" / secrets.token_hex(4)
        model = self.model(release)
        return Candidate(folder, self._record, release.model_name, release.version, model)

    def look(self, record: Record) -> Endpoint:
        """See how the endpoint of a record is."""
        server = self.server(record.server)
        state: EndpointState = "stopped"
        if server is not None:
            state = "dead"
            if server.alive():
                state = "serving" if _answers(record) else "unhealthy"
        return Endpoint(
            name=self.name,
            version=record.current.version,
            url=f"http://{HOST}:{record.port}",
            state=state,
            pid=server.pid if server else None,
            started=record.started if server else None,
            previous=record.previous.version if record.previous else None,
        )

    def tidy(self, wait: float = 0) -> None:
        """End every server that endpoint.json does not name, and remove what nobody needs.

        They get their time to finish; with ``wait`` they are given at most that, and waited for.
        """
        record = self.record()
        for folder in self.root.glob("servers/*"):
            server = Server(folder)
            if record and folder.name == record.server:
                continue
            told = folder / "told-to-end"
            if server.alive() and not told.exists():
                server.end()
                told.touch()
            if wait:
                server.wait(wait)
            if server.alive() and (wait or time.time() > told.stat().st_mtime + DRAIN + 5):
                server.kill()
            if not server.alive():
                server.remove()
        kept = {r.digest for r in (record.current, record.previous) if r} if record else set()
        for model in self.root.glob("models/*"):
            if model.name not in kept:
                shutil.rmtree(model, ignore_errors=True)


def _record(data: Any) -> Record:
    """Read what ``write`` wrote. Raises ValueError, LookupError and TypeError."""
    port, server, started = data["port"], data["server"], data["started"]
    if not (isinstance(port, int) and 0 < port < 2**16):
        raise ValueError(f"its port is {port!r}")
    if not (isinstance(server, str) and re.fullmatch("([0-9a-f]{8})?", server)):
        raise ValueError(f"its server is {server!r}")
    previous = data["previous"] and _release(data["previous"])
    return Record(port, _release(data["current"]), previous, server, float(started))


def _release(data: Any) -> Release:
    found = Release(**data)
    if not all(isinstance(each, str) for each in asdict(found).values()):
        raise ValueError(f"a release is {data}")
    return found


def root(workspace: Path, name: str) -> Path:
    """Where an endpoint of that name has its directory. Raises InputError."""
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{name!r} cannot name an endpoint: lower-case letters, digits and hyphens can"
        )
    return workspace / "endpoints" / name


@contextlib.contextmanager
def opened(workspace: Path, name: str, create: bool = False) -> Iterator[Place]:
    """Hold an endpoint to change it, tidied. A second one waits. Raises InputError."""
    folder = root(workspace, name)
    if create:
        (folder / "models").mkdir(parents=True, exist_ok=True)
    elif not folder.is_dir():
        there = ", ".join(p.parent.name for p in folder.parent.glob("*/endpoint.json"))
        raise InputError(f"there is no endpoint {name}; there is {there or 'none'}")
    place = Place(folder)
    with place.locked():
        place.tidy()
        yield place


def _answers(record: Record) -> bool:
    with contextlib.suppress(OSError, ValueError):
        status, _ = ask((HOST, record.port), "GET", "/ready", timeout=2)
        return status == 200
    return False
