"""A model that lies in Cloud Storage: fetched whole, as the service account that one is."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from components import serve
from components.serving import storage
from tests.served import write_model
from training.errors import InputError

_TOKEN = "/computeMetadata/v1/instance/service-accounts/default/token"


@contextlib.contextmanager
def bucket(objects: dict[str, bytes], fails: int = 0, status: int = 503) -> Iterator[str]:
    """Cloud Storage and the metadata server at one address; the first ``fails`` calls fail.

    Of what is called ``broken`` only half is sent, and of what is called ``shaky`` the first time;
    where it is called ``reset`` that ends with the connection.
    """
    left, sent = [fails], set[str]()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if parts.path == _TOKEN:
                ours = self.headers["Metadata-Flavor"] == "Google"
                self.reply(200 if ours else 403, json.dumps({"access_token": "t"}).encode())
            elif self.headers["Authorization"] != "Bearer t":
                self.reply(401, b"")
            elif left[0]:
                left[0] -= 1
                self.reply(status, b"")
            elif parts.path.endswith("/o"):
                self.reply(200, json.dumps(self.page(parse_qs(parts.query))).encode())
            else:
                name = unquote(parts.path.rpartition("/o/")[2])
                half = "broken" in name or ("shaky" in name and name not in sent)
                sent.add(name)
                self.reply(200, objects[name], 2 if half else 1)
                if half and "reset" in name:
                    self.reset()

        def page(self, query: dict[str, list[str]]) -> dict[str, object]:
            """One object a page, as a bucket with many would have it."""
            names = sorted(name for name in objects if name.startswith(query["prefix"][0]))
            at = int(query.get("pageToken", ["0"])[0])
            more = {"nextPageToken": str(at + 1)} if at + 1 < len(names) else {}
            return {"items": [{"name": name} for name in names[at : at + 1]], **more}

        def reply(self, status: int, body: bytes, times: int = 1) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(times * len(body)))
            self.end_headers()
            self.wfile.write(body)

        def reset(self) -> None:
            """Break the connection off, as a machine does that goes away."""
            self.wfile.flush()
            now = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)
            self.connection.close()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def reached(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    """What lies in the bucket; led there, and without a pause between two tries."""
    objects: dict[str, bytes] = {}
    with bucket(objects, fails=2) as address:
        monkeypatch.setenv("GCE_METADATA_HOST", address)
        monkeypatch.setattr(storage, "_STORAGE", f"http://{address}/storage/v1/b")
        monkeypatch.setattr(storage, "_PAUSE", 0.0)
        yield objects


def test_a_model_is_served_from_a_bucket(reached: dict[str, bytes], tmp_path: Path) -> None:
    """All of it, page after page, though the bucket failed twice; and nothing of its neighbour."""
    model = write_model(tmp_path / "model")
    for file in model.iterdir():
        reached[f"models/a/{file.name}"] = file.read_bytes()
    reached |= {"models/a/": b"", "models/ab/serving.json": b"another", "models/a/deep/x": b"x"}
    found = storage.fetch("gs://bucket/models/a/", tmp_path / "fetched")
    names = {each.relative_to(found).as_posix() for each in found.rglob("*") if each.is_file()}
    assert names == {*(each.name for each in model.iterdir()), "deep/x"}
    served, seconds = serve.load("gs://bucket/models/a", 1)
    assert (served.shape, set(seconds)) == ((8, 8), {"sample", "reconstruct", "score"})


@pytest.mark.parametrize(
    ("objects", "words"),
    [
        ({}, "nothing lies there"),
        ({"m/../../x": b""}, "leads out of it"),
        ({"m/broken": b"half of it"}, "cannot be read: it broke off"),
        ({"m/broken-reset": b"half of it"}, "cannot be read: .*Connection reset by peer"),
    ],
)
def test_what_cannot_be_fetched_is_said_in_a_sentence(
    reached: dict[str, bytes], tmp_path: Path, objects: dict[str, bytes], words: str
) -> None:
    """The container's last line is what an endpoint's failure is told with."""
    reached |= objects
    with pytest.raises(InputError, match=words):
        storage.fetch("gs://bucket/m/", tmp_path / "fetched")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("name", ["shaky", "shaky-reset"])
def test_what_breaks_off_is_fetched_again_and_whole(
    reached: dict[str, bytes], tmp_path: Path, name: str
) -> None:
    """Half of the weights would be served, or a lost connection end the container."""
    reached[f"m/{name}"] = bytes(range(256)) * 10_000
    found = storage.fetch("gs://bucket/m/", tmp_path / "fetched")
    assert (found / name).read_bytes() == reached[f"m/{name}"]


def test_a_bucket_that_refuses_is_not_asked_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The rights of the service account will not change while it tries."""
    with bucket({}) as address:
        monkeypatch.setenv("GCE_METADATA_HOST", address)
        monkeypatch.setattr(storage, "_STORAGE", f"http://{address}/storage/v1/b")
        monkeypatch.setattr(storage, "_token", lambda _: "wrong")
        with pytest.raises(InputError, match=r"cannot be read: 401"):
            storage.fetch("gs://bucket/m/", tmp_path / "fetched")


@pytest.mark.parametrize("status", [408, 504])
def test_a_bucket_that_was_too_slow_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, status: int
) -> None:
    """Every other call of Google's is: a server must not be lost by a gateway that gave up."""
    with bucket({"m/x": b"x"}, fails=2, status=status) as address:
        monkeypatch.setenv("GCE_METADATA_HOST", address)
        monkeypatch.setattr(storage, "_STORAGE", f"http://{address}/storage/v1/b")
        monkeypatch.setattr(storage, "_PAUSE", 0.0)
        assert (storage.fetch("gs://bucket/m/", tmp_path) / "x").read_bytes() == b"x"


@pytest.mark.parametrize("name", ["taken", "x/file"])
def test_a_disk_that_takes_nothing_is_told_as_that_and_not_tried_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    """Told as a bad connection, people would look for it; and a model may be large."""
    (tmp_path / "taken").mkdir()
    (tmp_path / "x").write_bytes(b"")
    with bucket({f"m/{name}": b"weights"}) as address:
        monkeypatch.setenv("GCE_METADATA_HOST", address)
        monkeypatch.setattr(storage, "_STORAGE", f"http://{address}/storage/v1/b")
        monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("it was tried again"))
        with pytest.raises(InputError, match=rf"{tmp_path}/{name} cannot be written: "):
            storage.fetch("gs://bucket/m/", tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is always full")
def test_a_full_disk_is_told_as_that_and_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disks are full once a file is closed, not once it is opened."""
    with bucket({"m/x": b"weights"}) as address:
        url = f"http://{address}/storage/v1/b/bucket/o/m%2Fx?alt=media"
        monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("it was tried again"))
        with pytest.raises(InputError, match=r"/dev/full cannot be written: No space left"):
            storage._save(url, "t", Path("/dev/full"))
