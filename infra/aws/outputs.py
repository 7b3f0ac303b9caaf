"""What steps left in S3: values, and artefacts, brought to the workspace where not too large."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from infra.aws import AwsSettings
from infra.aws.session import Aws
from infra.aws.stepfile import CHANNEL
from infra.cloud.looking import Task
from infra.errors import unwritable
from infra.plan import Json, Step
from infra.storage import inside
from infra.values import neat

_LARGEST = 64 * 2**20
"""Bytes of an artefact beyond which it stays where it is."""


class Outputs:
    """Reads what the steps of one run left."""

    def __init__(self, aws: Aws, settings: AwsSettings, run_id: str) -> None:
        self._aws, self._settings = aws, settings
        self._place = inside(Path(settings.workspace) / "artefacts", run_id)
        self._run = f"s3://{settings.bucket}/{settings.prefix.strip('/')}/runs/{run_id}"

    def of(self, step: Step, task: Task) -> dict[str, Json]:
        """Values by their types, artefacts as paths, or as URIs where they are too large."""
        place = task.left.rstrip("/") or f"{self._run}/{step.name}"
        values = self._values(f"{place}/{CHANNEL}/values.json") if step.parameters else {}
        found: dict[str, Json] = {
            name: neat(values[name], kind)
            for name, kind in step.parameters.items()
            if name in values
        }
        for name in step.artifacts:
            uri = f"{place}/{name}/artifact"
            local = self._fetched(uri, inside(self._place, task.job or step.name) / name)
            found[name] = str(local or uri)
        return found

    def _values(self, uri: str) -> dict[str, Any]:
        bucket, key = _parts(uri)
        found = self._aws.read(bucket, key, "read what the steps left")
        values: dict[str, Any] = json.loads(found or b"{}")
        return values

    def _fetched(self, uri: str, place: Path) -> Path | None:
        """Bring a file or a folder to ``place``, once and whole; None where it stays in S3."""
        if place.exists():
            return place
        bucket, prefix = _parts(uri)
        listed = self._aws.pages(
            "s3", "list_objects_v2", "Contents", "list what the steps left",
            Bucket=bucket, Prefix=prefix,
        )  # fmt: skip
        sizes = {each["Key"]: each["Size"] for each in listed}
        wanted = {k: size for k, size in sizes.items() if k == prefix or k[len(prefix)] == "/"}
        if sum(wanted.values()) > _LARGEST:
            return None
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=place.parent) as partial:
                made = Path(partial, "artifact")
                for key in wanted:
                    file = _below(made, key[len(prefix) :])
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_bytes(self._aws.read(bucket, key, f"fetch {uri}") or b"")
                if not wanted:
                    made.mkdir()  # S3 keeps no folder without files
                _put(made, place)
        except OSError as error:
            raise unwritable(self._settings.workspace, error) from error
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


def _parts(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key
