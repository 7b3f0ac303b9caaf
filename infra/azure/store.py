"""The blob container of a workspace, as runs use it: see infra.cloud.store."""

from __future__ import annotations

from collections.abc import Iterable

from infra.azure.errors import code_of
from infra.azure.session import Azure
from infra.cloud.store import Stored
from infra.errors import TrefoilError

_THERE = {"BlobAlreadyExists", "ConditionNotMet", "UnauthorizedBlobOverwrite"}


class Blobs:
    """The container; its addresses are those of the datastore."""

    def __init__(self, azure: Azure, datastore: str) -> None:
        self._azure, self._datastore = azure, datastore

    def put(self, key: str, content: bytes, *, once: bool = False) -> bool:
        """See Store."""
        client = self._azure.blobs
        try:
            self._azure.ask(
                f"put {key} to storage", client.upload_blob, key, content, overwrite=not once
            )
        except TrefoilError as error:
            cause = error.__cause__
            if once and isinstance(cause, Exception) and code_of(cause) in _THERE:
                return False
            raise
        return True

    def get(self, key: str) -> bytes | None:
        """See Store."""

        def read() -> bytes:
            found: bytes = self._azure.blobs.download_blob(key).readall()
            return found

        return self._azure.find(f"read {key} from storage", read)

    def list(self, prefix: str) -> list[Stored]:
        """See Store."""

        def listed() -> list[Stored]:
            found = self._azure.blobs.list_blobs(name_starts_with=prefix)
            return [Stored(e.name, e.size, e.last_modified.timestamp()) for e in found]

        return sorted(self._azure.ask(f"list {prefix} in storage", listed))

    def remove(self, keys: Iterable[str]) -> None:
        """See Store."""
        for key in keys:
            self._azure.find(f"remove {key} from storage", self._azure.blobs.delete_blob, key)

    def uri(self, key: str) -> str:
        """See Store."""
        return address(self._datastore, key)


def address(datastore: str, key: str) -> str:
    """What a job calls a key of the container."""
    return f"azureml://datastores/{datastore}/paths/{key}"
