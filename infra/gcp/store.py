"""Cloud Storage as infra.cloud.store has it: one bucket, an object put once by its generation."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from infra.cloud.store import Stored

if TYPE_CHECKING:
    from infra.gcp.session import Gcp

_THERE = (409, 412)
_KIND = "application/octet-stream"


class Bucket:
    """The objects of one bucket; encrypted by the bucket's own key, where it has one."""

    def __init__(self, gcp: Gcp, name: str) -> None:
        self._gcp, self._name = gcp, name

    def put(self, key: str, content: bytes, *, once: bool = False) -> bool:
        """See Store."""
        from googleapiclient.http import MediaInMemoryUpload

        doing = f"keep {self.uri(key)}"
        media = MediaInMemoryUpload(content, mimetype=_KIND, resumable=False)
        condition: dict[str, Any] = {"ifGenerationMatch": 0} if once else {}
        found = self._gcp.call_unless(
            "storage", "objects.insert", doing, _THERE if once else (), bucket=self._name,
            name=key, media_body=media, **condition,
        )  # fmt: skip
        return found is not None

    def get(self, key: str) -> bytes | None:
        """See Store."""
        found: bytes | None = self._gcp.call_unless(
            "storage", "objects.get_media", f"read {self.uri(key)}", (404,), bucket=self._name,
            object=key,
        )  # fmt: skip
        return found

    def list(self, prefix: str) -> list[Stored]:
        """See Store."""
        found: list[Stored] = []
        more: dict[str, Any] = {}
        while True:
            page = self._gcp.call(
                "storage", "objects.list", f"list {self.uri(prefix)}", bucket=self._name,
                prefix=prefix, **more,
            )  # fmt: skip
            found += [_stored(each) for each in page.get("items", ())]
            if not page.get("nextPageToken"):
                return found
            more = {"pageToken": page["nextPageToken"]}

    def remove(self, keys: Iterable[str]) -> None:
        """See Store."""
        for key in keys:
            self._gcp.call_unless(
                "storage", "objects.delete", f"remove {self.uri(key)}", (404,),
                bucket=self._name, object=key,
            )  # fmt: skip

    def uri(self, key: str) -> str:
        """See Store."""
        return f"gs://{self._name}/{key}"


def _stored(item: dict[str, Any]) -> Stored:
    changed = datetime.datetime.fromisoformat(item["updated"].replace("Z", "+00:00"))
    return Stored(item["name"], int(item["size"]), changed.timestamp())
