"""A model that lies in Cloud Storage, as Vertex AI says where it does: AIP_STORAGE_URI.

Vertex AI puts nothing into a container: that fetches its files itself, as the service account that
the metadata server knows. Two calls of plain HTTP do it, and the image goes without an SDK.
"""

from __future__ import annotations

import json
import os
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from training.errors import InputError

_METADATA = "metadata.google.internal"
_TOKEN = "/computeMetadata/v1/instance/service-accounts/default/token"  # noqa: S105  a path
_STORAGE = "https://storage.googleapis.com/storage/v1/b"
_ATTEMPTS, _PAUSE, _SECONDS = 5, 0.5, 60.0
_CHUNK = 2**20


def fetch(uri: str, folder: Path) -> Path:
    """Fill a folder with what lies under a gs:// address, and return it.

    Raises InputError where nothing lies there, or it cannot be had.
    """
    where = urllib.parse.urlsplit(uri)
    prefix = where.path.strip("/") + "/"
    token = _token(os.environ)
    found = [*_names(where.netloc, prefix, token)]
    if not found:
        raise InputError(f"there is no model at {uri}: nothing lies there")
    for name in found:
        target = folder / name.removeprefix(prefix)
        if not target.resolve().is_relative_to(folder.resolve()):
            raise InputError(f"there is a file {name} at {uri}, which leads out of it")
        target.parent.mkdir(parents=True, exist_ok=True)
        quoted = urllib.parse.quote(name, safe="")
        _save(f"{_STORAGE}/{where.netloc}/o/{quoted}?alt=media", token, target)
    return folder


def _token(environment: Mapping[str, str]) -> str:
    url = f"http://{environment.get('GCE_METADATA_HOST', _METADATA)}{_TOKEN}"
    request = urllib.request.Request(url, headers={"Metadata-Flavor": "Google"})
    token: str = json.loads(_read(request))["access_token"]
    return token


def _names(bucket: str, prefix: str, token: str) -> Iterator[str]:
    """The objects under a prefix, but for those that only mark a folder."""
    more: dict[str, Any] = {}
    while True:
        query = urllib.parse.urlencode({"prefix": prefix, **more})
        page = json.loads(_read(_authorized(f"{_STORAGE}/{bucket}/o?{query}", token)))
        yield from (each["name"] for each in page.get("items", ()) if each["name"][-1] != "/")
        if not page.get("nextPageToken"):
            return
        more = {"pageToken": page["nextPageToken"]}


def _save(url: str, token: str, target: Path) -> None:
    with _opened(_authorized(url, token)) as answer, target.open("wb") as file:
        while chunk := answer.read(_CHUNK):
            file.write(chunk)
        if answer.length:  # http.client ends a body that broke off as if it were whole
            raise InputError(f"{url} cannot be read: it broke off")


def _authorized(url: str, token: str) -> urllib.request.Request:
    return urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})  # noqa: S310


def _read(request: urllib.request.Request) -> bytes:
    with _opened(request) as answer:
        found: bytes = answer.read()
        return found


def _opened(request: urllib.request.Request) -> Any:
    """The answer to a request, tried again where it fails for a moment. Raises InputError."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return urllib.request.urlopen(request, timeout=_SECONDS)  # noqa: S310
        except OSError as error:
            status = getattr(error, "code", None)
            if attempt == _ATTEMPTS or (status is not None and status not in (429, 500, 502, 503)):
                reason = getattr(error, "reason", error)
                told = f"{status} {reason}" if status else reason
                raise InputError(f"{request.full_url} cannot be read: {told}") from None
            time.sleep(_PAUSE * attempt)
    raise AssertionError  # the loop returns, or raises
