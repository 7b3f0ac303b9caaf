"""Our Blob Storage answers azure-storage-blob as Azurite does, Microsoft's own stand-in.

A rehearsal needs no node, so ours is what it uses; where node is, Azurite is asked the same.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.azure.session import connected
from tests.dockerd import CACHE, locked
from tests.infra.azure.running import azure

_AZURITE = "azurite@3.37.0"
_KEY = "bWFkZS11cC1mb3ItYS1yZWhlYXJzYWw="
_LARGE = bytes(range(256)) * 20
EXPECTED: list[Any] = [
    ("put", None),
    ("put again, once", "BlobAlreadyExists"),
    ("put over it", None),
    ("get", b"second"),
    ("a range", b"eco"),
    ("what is not there", "BlobNotFound"),
    ("its size and kind", (6, "BlockBlob")),
    ("metadata", {"a": "1"}),
    ("in blocks", len(_LARGE)),
    ("a list", ["a/1", "a/2 b+c", "a/blocks"]),
    ("pages of it", [["a/1"], ["a/2 b+c"], ["a/blocks"]]),
    ("folders", ["a/", "b"]),
    ("delete", None),
    ("delete it again", "BlobNotFound"),
    ("what is left", ["a/2 b+c", "a/blocks", "b"]),
]


def _code(call: Callable[[], Any]) -> Any:
    """What a call returns; of one that is refused, the code."""
    from azure.core.exceptions import HttpResponseError

    try:
        call()
    except HttpResponseError as error:
        code: Any = getattr(error, "error_code", "")
        return str(getattr(code, "value", code))
    return None


def _asked(client: Any) -> list[Any]:
    """All that runs ask of storage, and what is answered."""
    from azure.storage.blob import BlobBlock

    def get(name: str, *where: int) -> bytes:
        found: bytes = client.download_blob(name, *where).readall()
        return found

    def names(**asked: Any) -> list[str]:
        return [each.name for each in client.list_blobs(**asked)]

    found: list[Any] = [
        ("put", _code(lambda: client.upload_blob("a/1", b"first"))),
        ("put again, once", _code(lambda: client.upload_blob("a/1", b"x", overwrite=False))),
        ("put over it", _code(lambda: client.upload_blob("a/1", b"second", overwrite=True))),
        ("get", get("a/1")),
        ("a range", get("a/1", 1, 3)),
        ("what is not there", _code(lambda: get("nothing"))),
    ]
    blob = client.get_blob_client("a/1")
    told = blob.get_blob_properties()
    found.append(("its size and kind", (told.size, told.blob_type.value)))
    blob.set_blob_metadata({"a": "1"})
    found.append(("metadata", blob.get_blob_properties().metadata))
    blocks = client.get_blob_client("a/blocks")
    for at in range(2):
        blocks.stage_block(f"{at:06}", _LARGE[at * 2560 : (at + 1) * 2560])
    blocks.commit_block_list([BlobBlock(f"{at:06}") for at in range(2)])
    found.append(("in blocks", len(get("a/blocks"))))
    client.upload_blob("a/2 b+c", b"")
    client.upload_blob("b", b"b")
    pages = client.list_blobs(name_starts_with="a/", results_per_page=1).by_page()
    found += [
        ("a list", names(name_starts_with="a/")),
        ("pages of it", [[each.name for each in page] for page in pages]),
        ("folders", [each.name for each in client.walk_blobs(delimiter="/")]),
        ("delete", _code(lambda: client.delete_blob("a/1"))),
        ("delete it again", _code(lambda: client.delete_blob("a/1"))),
        ("what is left", names()),
    ]
    return found


def test_ours_answers_as_the_service_does(tmp_path: Path) -> None:
    with azure(tmp_path) as stood:
        assert _asked(connected(stood.settings).blobs) == EXPECTED


def test_azurite_answers_the_same(tmp_path: Path) -> None:
    """Else ours would be right by our own idea of it alone."""
    if shutil.which("npx") is None:
        pytest.skip("npx, which starts Azurite, is not installed")
    from azure.storage.blob import ContainerClient

    with _azurite(tmp_path) as address:
        credential = {"account_name": "example", "account_key": _KEY}
        client: Any = ContainerClient(f"{address}/example", "trefoil", credential)
        client.create_container()
        assert _asked(client) == EXPECTED


@contextlib.contextmanager
def _azurite(folder: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        "npx", "--yes", "--prefer-offline", "--package", _AZURITE, "azurite-blob",
        "--inMemoryPersistence", "--silent",
        "--skipApiVersionCheck", "--disableTelemetry", "--blobPort", str(port),
    ]  # fmt: skip
    environment = {**os.environ, "AZURITE_ACCOUNTS": f"example:{_KEY}",
                   "npm_config_cache": str(CACHE / "npm"), "npm_config_audit": "false"}  # fmt: skip
    with (
        locked("npm"),
        subprocess.Popen(command, cwd=folder, env=environment, start_new_session=True) as process,
    ):
        try:
            _wait_for(port, process)
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(process.pid, signal.SIGTERM)  # npx ends without the node that it started


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Until it listens; npm has to fetch it first, which takes minutes, once on a machine."""
    while process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.2)
    pytest.fail(f"Azurite ended with {process.returncode}: can npm fetch {_AZURITE}?")
