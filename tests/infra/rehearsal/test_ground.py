"""The way out of a rehearsal: each host of a cloud leads to its stand-in, all others nowhere."""

from __future__ import annotations

import contextlib
import os
import ssl
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from infra.rehearsal.authority import Authority
from infra.rehearsal.faults import Faults
from infra.rehearsal.ground import ground
from infra.rehearsal.log import Log, lines
from infra.rehearsal.proxy import REFUSED
from infra.rehearsal.server import Answer, Call, serving

HOST = "api.cloud.example.com"


def _echo(call: Call) -> Answer:
    return Answer(200, call.body or call.path.encode(), "application/octet-stream")


@contextmanager
def _grounded(folder: Path) -> Iterator[Log]:
    """A stand-in for HOST behind the ground."""
    log = Log(folder / "requests.jsonl")
    with (
        serving(_echo, log, Faults(), hosts={HOST}) as address,
        ground({r"api\.cloud\..*": address}, log),
    ):
        yield log


def _ask(url: str, body: bytes | None = None) -> bytes:
    """As a client does that knows of nothing but its environment."""
    with urllib.request.build_opener().open(url, body) as answer:
        found: bytes = answer.read()
        return found


def test_bytes_pass_as_they_are_both_ways(tmp_path: Path) -> None:
    """A proxy that reads HTTP breaks what a client signs and sums up."""
    body = os.urandom(8 * 2**20)
    with _grounded(tmp_path):
        assert _ask(f"https://{HOST}/a%20b") == b"/a b"
        assert _ask(f"https://{HOST}/", body) == body


def test_many_connections_at_once(tmp_path: Path) -> None:
    """An SDK uploads by ten threads; none may get what is another's."""
    found: dict[int, bytes] = {}

    def ask(number: int) -> None:
        found[number] = _ask(f"https://{HOST}/", f"{number} ".encode() * 100_000)

    with _grounded(tmp_path):
        threads = [threading.Thread(target=ask, args=(number,)) for number in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == {number: f"{number} ".encode() * 100_000 for number in range(10)}


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/",
        f"https://{HOST}.evil.test/".replace("api.cloud", "apixcloud"),
        "http://169.254.169.254/latest/meta-data/",
        "https://[2001:db8::1]/",
    ],
)
def test_every_other_host_is_refused_and_noted(tmp_path: Path, url: str) -> None:
    """A rehearsal that may reach a real cloud is none. Plain HTTP is a way out too."""
    with _grounded(tmp_path) as log, pytest.raises(urllib.error.URLError, match="403"):
        _ask(url)
    (noted,) = lines(tmp_path / "requests.jsonl")
    assert noted["outcome"] == REFUSED
    assert noted["path"] == urlsplit(url).hostname
    assert REFUSED in log.told()[0]


def test_what_is_no_request_is_let_go(tmp_path: Path) -> None:
    """A client that leaves, or says nonsense, must not end the proxy for the others."""
    import socket

    with _grounded(tmp_path):
        port = int(os.environ["HTTPS_PROXY"].rpartition(":")[2])
        for words in (b"", b"\r\n\r\n", b"x" * 100, b"CONNECT api.cloud.x:443 HTTP/1.1\r\n\r\nno"):
            with socket.create_connection(("127.0.0.1", port)) as there:
                there.sendall(words)
        assert _ask(f"https://{HOST}/still") == b"/still"


def test_certificates_are_of_one_rehearsal_alone() -> None:
    """A certificate of an earlier rehearsal, found lying about, must open nothing."""
    one, other = Authority(), Authority()
    assert one.certificate() != other.certificate()
    trusting = ssl.create_default_context(cadata=other.certificate().decode())
    client = trusting.wrap_bio(
        coming := ssl.MemoryBIO(), leaving := ssl.MemoryBIO(), server_hostname=HOST
    )
    server = one.context(HOST).wrap_bio(leaving, coming, server_side=True)
    with pytest.raises(ssl.SSLCertVerificationError):
        _shake(client, server)


def _shake(*sides: ssl.SSLObject) -> None:
    """A TLS handshake in memory."""
    for side in sides * 4:
        with contextlib.suppress(ssl.SSLWantReadError):
            side.do_handshake()


def test_no_key_stays_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has the key can be any host for a client that trusts it."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with _grounded(tmp_path / "log"):
        _ask(f"https://{HOST}/")
        written = [file for file in tmp_path.rglob("*") if file.is_file()]
        assert [file.name for file in written if b"PRIVATE" in file.read_bytes()] == []
        assert "ca.pem" in [file.name for file in written]
    assert list(tmp_path.glob("trefoil-*")) == []
