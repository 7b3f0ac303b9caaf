"""Downloads against a server on this machine, and the formats that come from them."""

import gzip
import hashlib
import io
import struct
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from training.errors import InputError
from training.fingerprint import md5_of
from training.sources import catalogue, download, online
from training.sources.catalogue import Entry, File
from training.sources.examples import Array, Images

CONTENT = bytes(range(256)) * 4000


class Home(ThreadingHTTPServer):
    """Serves ``content``; ``faults`` are taken one a request, then it serves well."""

    daemon_threads = True
    content = CONTENT
    faults: list[str]
    asked: list[str | None]
    ranges = True


class Answer(BaseHTTPRequestHandler):
    """One answer."""

    server: Home
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.asked.append(asked)
        fault = self.server.faults.pop(0) if self.server.faults else ""
        if fault.isdigit():
            self.send_error(int(fault))
            return
        start = int(asked[len("bytes=") : -1]) if asked and self.server.ranges else 0
        if start and start >= len(self.server.content):
            self.send_error(416)
            return
        content = self.server.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if fault == "truncated" else content)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def home() -> Iterator[Home]:
    with Home(("127.0.0.1", 0), Answer) as server:
        server.faults, server.asked = [], []
        thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def file_at(home: Home, content: bytes = CONTENT, algorithm: str = "md5") -> File:
    checksum = hashlib.new(algorithm, content).hexdigest()
    return File("a.bin", f"http://127.0.0.1:{home.server_port}/a.bin", algorithm, checksum)


def fetch(file: File, folder: Path) -> Path:
    return download.fetch(file, folder, lambda _: None, wait=0)


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_a_file_is_fetched_once(home: Home, algorithm: str, tmp_path: Path) -> None:
    said: list[str] = []
    for _ in range(2):
        file = file_at(home, algorithm=algorithm)
        found = download.fetch(file, tmp_path / "cache", said.append)
        assert found.read_bytes() == CONTENT
    assert home.asked == [None]
    assert said == [f"downloading {file.url}: 1.0 MB"]
    assert left(tmp_path / "cache") == ["a.bin"]


def test_a_wrong_checksum_is_refused_and_nothing_kept(home: Home, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"not [0-9a-f]{32} as published; nothing of it is kept"):
        fetch(file_at(home, b"other"), tmp_path)
    assert left(tmp_path) == []


def test_a_broken_transfer_goes_on_where_it_stopped(home: Home, tmp_path: Path) -> None:
    home.faults = ["truncated", "503"]
    assert fetch(file_at(home), tmp_path).read_bytes() == CONTENT
    half = f"bytes={len(CONTENT) // 2}-"
    assert home.asked == [None, half, half]


def test_a_server_without_ranges_begins_again(home: Home, tmp_path: Path) -> None:
    home.ranges, home.faults = False, ["truncated"]
    assert fetch(file_at(home), tmp_path).read_bytes() == CONTENT


def test_what_keeps_breaking_off_is_told_and_kept_for_the_next_run(
    home: Home, tmp_path: Path
) -> None:
    home.faults = ["truncated"] * download.TRIES
    with pytest.raises(InputError, match=r"broke off 3 times \(after \d+ of 1024000 bytes\)"):
        fetch(file_at(home), tmp_path)
    assert left(tmp_path) == [".a.bin.part"]
    assert fetch(file_at(home), tmp_path).read_bytes() == CONTENT
    assert home.asked[-1] == f"bytes={7 * len(CONTENT) // 8}-"


@pytest.mark.parametrize("kept", [b"of another version", CONTENT + b"too long"])
def test_a_part_of_something_else_is_thrown_away(home: Home, kept: bytes, tmp_path: Path) -> None:
    (tmp_path / ".a.bin.part").write_bytes(kept)
    assert fetch(file_at(home), tmp_path).read_bytes() == CONTENT
    assert left(tmp_path) == ["a.bin"]


def test_a_file_damaged_since_is_fetched_anew(home: Home, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(CONTENT[:-1] + b"?")
    assert fetch(file_at(home), tmp_path).read_bytes() == CONTENT


def test_a_missing_page_is_told_at_once(home: Home, tmp_path: Path) -> None:
    home.faults = ["404"]
    with pytest.raises(InputError, match=r"/a\.bin answered 404 Not Found; .*--data digits"):
        fetch(file_at(home), tmp_path)
    assert home.asked == [None]


def test_a_host_that_is_not_there_is_told_at_once(home: Home, tmp_path: Path) -> None:
    file = file_at(home)._replace(url="http://127.0.0.1:1/a.bin")
    with pytest.raises(InputError, match=r"cannot be reached \(Connection refused\); see to"):
        fetch(file, tmp_path)


def test_a_cache_that_cannot_be_written_is_told(home: Home, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="choose another place by XDG_CACHE_HOME"):
        fetch(file_at(home), tmp_path / "file" / "cache")


def test_two_at_once_fetch_once(home: Home, tmp_path: Path) -> None:
    found: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: found.append(fetch(file_at(home), tmp_path).read_bytes()))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [CONTENT] * 4
    assert home.asked == [None]


# The table


def test_the_table_names_sets_with_checksums() -> None:
    names = catalogue.names()
    assert names == ["digits", "mnist", "fashion-mnist", "cifar10", "tiny-shakespeare"]
    for name in names[1:]:
        entry = catalogue.find(name)
        assert entry is not None
        for file in entry.files:
            assert len(file.checksum) == {"md5": 32, "sha256": 64}[file.algorithm]
    assert [catalogue.find(word) for word in ("digits", "./mnist", "a/b", "")] == [None] * 4


def test_the_md5_of_a_set_is_that_of_a_folder_of_its_files(tmp_path: Path) -> None:
    files = []
    for name in ("b", "a"):
        (tmp_path / name).write_bytes(name.encode())
        files.append(File(name, "", "md5", hashlib.md5(name.encode()).hexdigest()))  # noqa: S324
    assert Entry("two", "idx", (), tuple(files)).md5 == md5_of(tmp_path)
    assert Entry("one", "idx", (), tuple(files[:1])).md5 == files[0].checksum
    assert Entry("none", "text", (), (File("c", "", "sha256", "0"),)).md5 == ""


# The formats


def idx(file: Path, values: Array, kind: int = 8) -> Path:
    header = bytes([0, 0, kind, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    file.write_bytes(gzip.compress(header + values.astype(np.uint8).tobytes()))
    return file


def mnist_files(folder: Path, rng: np.random.Generator) -> tuple[list[Path], Array, Array]:
    pixels, labels = rng.integers(0, 256, (7, 5, 4)), rng.integers(0, 3, 7)
    parts = (pixels[:5], labels[:5], pixels[5:], labels[5:])
    return [idx(folder / str(n), part) for n, part in enumerate(parts)], pixels, labels


def test_idx_sets_keep_their_split(tmp_path: Path) -> None:
    files, pixels, labels = mnist_files(tmp_path, np.random.default_rng(0))
    found = online.read(Entry("m", "idx", ("a", "b", "c"), ()), files)
    assert isinstance(found.content, Images)
    np.testing.assert_array_equal(found.content.pixels[:, 0], pixels)
    assert found.labels is not None
    np.testing.assert_array_equal(found.labels.ids, labels)
    assert (found.split.how, sorted(found.split.test.tolist())) == ("given", [5, 6])


def test_cifars_binary_version_needs_no_pickle(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 10, (12, 3073)).astype(np.uint8)
    names = [f"data_batch_{n}.bin" for n in range(1, 6)] + ["test_batch.bin"]

    def archive(names: list[str]) -> Path:
        with tarfile.open(tmp_path / "c.tar.gz", "w:gz") as members:
            for number, name in reversed(list(enumerate(names))):
                raw = rows[2 * number : 2 * number + 2].tobytes()
                member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
                member.size = len(raw)
                members.addfile(member, io.BytesIO(raw))
        return tmp_path / "c.tar.gz"

    entry = Entry("c", "cifar", tuple("0123456789"), ())
    found = online.read(entry, [archive(names)])
    assert isinstance(found.content, Images)
    np.testing.assert_array_equal(found.content.pixels.reshape(12, -1), rows[:, 1:])
    assert found.labels is not None
    assert found.labels.ids.tolist() == rows[:, 0].tolist()
    assert sorted(found.split.test.tolist()) == [10, 11]
    with pytest.raises(InputError, match=r"holds no whole test_batch\.bin"):
        online.read(entry, [archive(names[:-1])])


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    file = idx(tmp_path / "i", np.zeros((3, 2)))
    raw = gzip.decompress(file.read_bytes())
    for content, why in (
        (gzip.compress(raw[:-1]), "holds 5 values, not 6"),
        (gzip.compress(b"\0\0\x0d\1" + raw[4:]), "is no IDX file of bytes"),
        (gzip.compress(raw)[:-9], "cannot be read"),
        (raw, "cannot be read"),
        (b"", "is no IDX file"),
    ):
        file.write_bytes(content)
        with pytest.raises(InputError, match=why):
            online.idx(file)
