"""S3 as jobs see it: prefixes that become folders, and folders that become prefixes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from infra.aws.session import session

_CHUNK = 2**20


class Objects:
    """The objects in S3, asked for by the stand-in itself, past the proxy."""

    def __init__(self, address: str, region: str) -> None:
        """``address`` is moto's."""
        way = session(region, "the-cloud", "itself")
        from boto3.s3.transfer import TransferConfig
        from botocore.config import Config

        config = Config(s3={"addressing_style": "path"}, max_pool_connections=50)
        self._client: Any = way.client("s3", endpoint_url=address, config=config)
        self._plainly = TransferConfig(use_threads=False)

    def read(self, uri: str) -> bytes | None:
        """An object, or None where there is none."""
        bucket, key = parts(uri)
        try:
            found: bytes = self._client.get_object(Bucket=bucket, Key=key)["Body"].read()
            return found
        except (self._client.exceptions.NoSuchKey, self._client.exceptions.NoSuchBucket):
            return None

    def exists(self, uri: str) -> bool:
        """Whether there is an object of that name, or any under that prefix."""
        return next(self._keys(*parts(uri)), None) is not None

    def download(self, uri: str, folder: Path, shard: tuple[int, int] = (0, 1)) -> int:
        """Put what lies under a prefix into a folder; returns how many objects that were.

        An object that is named whole becomes a file of its last name. ``shard`` (i, n) takes each
        n-th object from the i-th on.
        """
        bucket, prefix = parts(uri)
        first, step = shard
        count = 0
        for key in [*self._keys(bucket, prefix)][first::step]:
            name = key[len(prefix) :].lstrip("/") or key.rpartition("/")[2]
            if not name:
                continue  # the mark of a folder
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("wb") as to:
                body = self._client.get_object(Bucket=bucket, Key=key)["Body"]
                shutil.copyfileobj(body, to, _CHUNK)
            count += 1
        return count

    def upload(self, folder: Path, uri: str, known: dict[str, tuple[int, int]]) -> None:
        """Put the files of a folder under a prefix, those that have changed since ``known``."""
        bucket, prefix = parts(uri)
        for file in sorted(folder.rglob("*")):
            name = file.relative_to(folder).as_posix()
            try:
                about = file.stat()
                state = (about.st_mtime_ns, about.st_size)
                if not file.is_file() or known.get(name) == state:
                    continue
                self._client.upload_file(
                    str(file), bucket, f"{prefix.rstrip('/')}/{name}", Config=self._plainly
                )
                known[name] = state
            except FileNotFoundError:
                continue  # it was a partial file, and is now whole under another name

    def write(self, content: bytes, uri: str) -> None:
        """Put an object where it is said."""
        bucket, key = parts(uri)
        self._client.put_object(Bucket=bucket, Key=key, Body=content)

    def put(self, file: Path, uri: str) -> None:
        """Put a file where it is said."""
        bucket, key = parts(uri)
        self._client.upload_file(str(file), bucket, key, Config=self._plainly)

    def _keys(self, bucket: str, prefix: str) -> Iterator[str]:
        pages = self._client.get_paginator("list_objects_v2")
        try:
            for page in pages.paginate(Bucket=bucket, Prefix=prefix):
                yield from (each["Key"] for each in page.get("Contents", []))
        except self._client.exceptions.NoSuchBucket:
            return


def parts(uri: str) -> tuple[str, str]:
    """Bucket and key of an S3 URI."""
    found = urlsplit(uri, allow_fragments=False)
    return found.netloc, found.path.lstrip("/")
