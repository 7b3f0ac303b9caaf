"""What every part of the stand-in shares: a workspace, its store, its scenario, its machines."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from infra.azure.emulator.blobstore import BlobStore
from infra.azure.emulator.machine import Machines
from infra.azure.emulator.operations import Operations
from infra.azure.emulator.routing import PROVIDER
from infra.rehearsal.clock import Clock
from infra.rehearsal.store import Record, Store

_MAKER = "00000000-0000-4000-8000-000000000000"


class Scope(NamedTuple):
    """The workspace, and what belongs to it: terraform makes it in a real account."""

    subscription: str
    group: str
    workspace: str
    region: str
    account: str
    container: str
    datastore: str
    clusters: Mapping[str, bool] = {}
    """Each cluster, and whether its machines are of low priority."""
    identities: frozenset[str] = frozenset()

    @property
    def path(self) -> str:
        """Its resource id."""
        return (
            f"/subscriptions/{self.subscription}/resourceGroups/{self.group}/providers/{PROVIDER}"
            f"/workspaces/{self.workspace}"
        )


class World(NamedTuple):
    """One workspace. ``slots`` are taken by the jobs whose containers run.

    ``environment`` is laid over that of every container, as far as that has the variable.
    """

    folder: Path
    scope: Scope
    store: Store
    blobs: BlobStore
    operations: Operations
    machines: Machines
    clock: Clock
    slots: threading.Semaphore
    scenario: Mapping[str, Any]
    environment: Mapping[str, str]

    def id(self, rest: str) -> str:
        """The resource id of what lies in the workspace."""
        return f"{self.scope.path}/{rest}"

    def resource(self, record: Record, kind: str, properties: Mapping[str, Any]) -> dict[str, Any]:
        """A record as ARM returns it. ``kind`` is the type in the workspace: jobs."""
        return {
            "id": record["arn"],
            "name": record["arn"].rpartition("/")[2],
            "type": f"{PROVIDER}/workspaces/{kind}",
            "properties": dict(properties),
            "systemData": {
                "createdAt": when(record["created"]),
                "createdBy": "rehearsal",
                "createdByType": "Application",
                "lastModifiedAt": when(record["modified"]),
                "lastModifiedBy": "rehearsal",
                "lastModifiedByType": "Application",
            },
        }


def when(moment: float) -> str:
    """Seconds since the epoch as Azure writes them."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def now() -> float:
    """Seconds since the epoch."""
    return round(time.time(), 3)
