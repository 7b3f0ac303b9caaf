"""What steps left: values, and artefacts, brought to the workspace where not too large."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from infra.cloud.looking import Task
from infra.cloud.stepfile import VALUES
from infra.cloud.store import Store
from infra.errors import unwritable
from infra.plan import Json, Step
from infra.storage import inside
from infra.values import neat

_LARGEST = 64 * 2**20
"""Bytes of an artefact beyond which it stays where it is."""


class Outputs:
    """Reads what the steps of one run left, below ``prefix``/runs/RUN."""

    def __init__(self, store: Store, prefix: str, workspace: str, run_id: str) -> None:
        self._store, self._workspace = store, workspace
        self._place = inside(Path(workspace) / "artefacts", run_id)
        self._run = f"{prefix.strip('/')}/runs/{run_id}"

    def of(self, step: Step, task: Task) -> dict[str, Json]:
        """Values by their types, artefacts as paths, or as URIs where they are too large."""
        place = f"{self._run}/{step.name}"
        if task.left:
            place = task.left.rstrip("/").removeprefix(self._store.uri(""))
        values = self._values(f"{place}/{VALUES}/values.json") if step.parameters else {}
        found: dict[str, Json] = {
            name: neat(values[name], kind)
            for name, kind in step.parameters.items()
            if name in values
        }
        for name in step.artifacts:
            key = f"{place}/{name}/artifact"
            local = self._fetched(key, inside(self._place, task.job or step.name) / name)
            found[name] = str(local or self._store.uri(key))
        return found

    def fetched(self, key: str, owner: str, name: str) -> Path | None:
        """Bring what lies at a key to the workspace, as the output of its ``owner``."""
        return self._fetched(key, inside(self._place, owner) / name)

    def _values(self, key: str) -> dict[str, Any]:
        values: dict[str, Any] = json.loads(self._store.get(key) or b"{}")
        return values

    def _fetched(self, key: str, place: Path) -> Path | None:
        """Bring a file or a folder to ``place``, once and whole; None where it is too large."""
        if place.exists():
            return place
        sizes = {each.key: each.size for each in self._store.list(key)}
        wanted = {k: size for k, size in sizes.items() if k == key or k[len(key)] == "/"}
        if sum(wanted.values()) > _LARGEST:
            return None
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=place.parent) as partial:
                made = Path(partial, "artifact")
                for each in wanted:
                    file = _below(made, each[len(key) :])
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_bytes(self._store.get(each) or b"")
                if not wanted:
                    made.mkdir()  # a bucket keeps no folder without files
                _put(made, place)
        except OSError as error:
            raise unwritable(self._workspace, error) from error
        return place


def _below(folder: Path, name: str) -> Path:
    """Where a key goes. Raises InputError where it would lead out of the folder."""
    for part in (parts := [each for each in name.split("/") if each]):
        inside(folder, part)
    return folder.joinpath(*parts)


def _put(made: Path, place: Path) -> None:
    try:
        made.rename(place)
    except OSError:
        if not place.exists():  # else somebody brought it just now
            raise
