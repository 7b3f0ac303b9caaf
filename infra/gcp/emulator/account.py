"""The project that a rehearsal has where nobody named one: made up, and never asked for."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from infra.gcp import GcpSettings
from infra.storage import write_whole

PROJECT, NUMBER, REGION = "trefoil-rehearsal", "123456789012", "europe-west4"
_BUCKET = "trefoil-rehearsal"
_CREDENTIALS, _METADATA = "GOOGLE_APPLICATION_CREDENTIALS", "GCE_METADATA_HOST"
_TOKENS = "https://oauth2.googleapis.com/token"


def made_up(settings: GcpSettings, workspace: Path) -> GcpSettings:
    """The settings, what is missing of a project made up; tracking stays in the workspace."""
    project, region = settings.project or PROJECT, settings.region or REGION
    domain = f"{project}.iam.gserviceaccount.com"
    wanted: dict[str, Any] = {
        "project": project,
        "region": region,
        "bucket": _BUCKET,
        "registry": f"{region}-docker.pkg.dev/{project}/trefoil",
        "service_account": f"trefoil-training@{domain}",
        "serving_service_account": f"trefoil-serving@{domain}",
    }
    missing = {name: value for name, value in wanted.items() if not getattr(settings, name)}
    database = workspace.resolve() / "mlflow" / "mlflow.db"
    return settings._replace(**missing, tracking_uri=f"sqlite:///{database}")


def accounts_of(settings: GcpSettings) -> frozenset[str]:
    """The service accounts that there are."""
    named = (settings.service_account, settings.serving_service_account)
    return frozenset({*named, *settings.step_accounts.values()})


def number_of(project: str) -> str:
    """The number that a project has here."""
    if project == PROJECT:
        return NUMBER
    return str(10**11 + int(hashlib.sha256(project.encode()).hexdigest()[:10], 16) % 10**11)


@contextlib.contextmanager
def credentials(folder: Path, project: str, address: str) -> Iterator[None]:
    """Who asks, in the environment while the block runs.

    That is a service account's key, made up, and for containers the metadata server that is at
    ``address``.
    """
    file = folder / "key.json"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(file, json.dumps(_key(project)), private=True)
    found = {_CREDENTIALS: str(file.resolve()), _METADATA: urlsplit(address).netloc}
    before = {name: os.environ[name] for name in found if name in os.environ}
    os.environ.update(found)
    try:
        yield
    finally:
        for name in found:
            del os.environ[name]
        os.environ.update(before)


def _key(project: str) -> dict[str, str]:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    private = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return {
        "type": "service_account",
        "project_id": project,
        "private_key_id": "made-up-for-a-rehearsal",
        "private_key": private.decode(),
        "client_email": f"trefoil-rehearsal@{project}.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": _TOKENS,
    }
