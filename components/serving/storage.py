"""A model that lies in Cloud Storage, as Vertex AI says where it does: AIP_STORAGE_URI.

Vertex AI puts nothing into a container: that fetches its files itself, as the service account that
the metadata server knows. Two calls of plain HTTP do it, and the image goes without an SDK.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from http.client import HTTPException, IncompleteRead
from pathlib import Path
from typing import Any, TypeVar

from training.errors import InputError

_METADATA = "metadata.google.internal"
_TOKEN = "/computeMetadata/v1/instance/service-accounts/default/token"  # noqa: S105  a path
_STORAGE = "https://storage.googleapis.com/storage/v1/b"
_ATTEMPTS, _PAUSE, _SECONDS = 5, 0.5, 60.0
_MOMENTARY = (408, 429, 500, 502, 503, 504)
_CHUNK = 2**20

T = TypeVar("T")


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
        with _written(target):
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
    def save(answer: Any) -> None:
        with _written(target), target.open("wb") as file:
            for chunk in _chunks(answer):
                file.write(chunk)

    _asked(_authorized(url, token), save)


@contextlib.contextmanager
def _written(target: Path) -> Iterator[None]:
    """Raise InputError where the disk fails: to fetch it once more would not help."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{target} cannot be written: {error.strerror or error}") from None


def _chunks(answer: Any) -> Iterator[bytes]:
    """A body. Raises HTTPException where it breaks off, which no disk does."""
    try:
        while chunk := answer.read(_CHUNK):
            yield chunk
    except OSError as error:
        raise HTTPException(str(error)) from None
    if answer.length:  # http.client ends a body that broke off as if it were whole
        raise IncompleteRead(b"", answer.length)


def _authorized(url: str, token: str) -> urllib.request.Request:
    return urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})  # noqa: S310


def _read(request: urllib.request.Request) -> bytes:
    found: bytes = _asked(request, lambda answer: answer.read())
    return found


def _asked(request: urllib.request.Request, take: Callable[[Any], T]) -> T:
    """What ``take`` makes of the answer, asked for again where it fails or breaks off for a moment.

    Raises InputError.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310
                return take(answer)
        except (OSError, HTTPException) as error:
            status = getattr(error, "code", None)
            if attempt == _ATTEMPTS or (status is not None and status not in _MOMENTARY):
                raise InputError(f"{request.full_url} cannot be read: {_why(error)}") from None
            time.sleep(_PAUSE * attempt)
    raise AssertionError  # the loop returns, or raises


def _why(error: Exception) -> str:
    if isinstance(error, IncompleteRead):
        return "it broke off"
    status, reason = getattr(error, "code", None), getattr(error, "reason", None) or error
    return f"{status} {reason}" if status else str(reason)
