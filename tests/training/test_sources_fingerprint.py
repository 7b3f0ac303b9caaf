"""MD5s: those of the real DVC, whatever the folder; and what it cannot pin."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from dvc_data.hashfile.build import build
from dvc_data.hashfile.db import HashFileDB
from dvc_objects.fs.local import localfs
from hypothesis import given, settings
from hypothesis import strategies as st

from training.errors import InputError
from training.fingerprint import md5_of

NAMES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=12
).filter(lambda name: name not in (".", "..", ".git", ".hg", ".dvcignore") and name[-4:] != ".dvc")
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)


def dvcs_md5(path: Path, odb: Path) -> str:
    found = build(HashFileDB(localfs, str(odb)), str(path), localfs, "md5", dry_run=True)
    value = found[2].hash_info.value
    assert isinstance(value, str)
    return value


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        file = folder / name
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        except OSError:  # a name that is a folder already, or one that is too long in bytes
            continue
    return folder


@given(files=st.dictionaries(PATHS, st.binary(max_size=20), min_size=1, max_size=8))
@settings(deadline=None, max_examples=150)
def test_a_folders_md5_is_dvcs(files: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = write(Path(place, "data"), files)
        if folder.exists():
            assert md5_of(folder) == dvcs_md5(folder, Path(place, "odb"))


@given(content=st.binary(max_size=3000))
@settings(deadline=None)
def test_a_files_md5_is_dvcs(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as place:
        file = Path(place, "data.bin")
        file.write_bytes(content)
        assert md5_of(file) == dvcs_md5(file, Path(place, "odb"))


def test_dvc_add_pins_by_that_md5(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that DVC's own command does beside: links, empty folders, folders of git, ignores."""
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "global"))
    checkout = tmp_path / "checkout"
    files = {
        "a/1.png": b"1", "a/b/2.png": b"2", ".hidden": b"h", "é \"q\".txt": b"e",
        "a/.git/HEAD": b"g", ".hg/x": b"x", "B": b"B", "_": b"_",
        "crlf.txt": b"a\r\nb\r\n",
    }  # fmt: skip
    folder = write(checkout / "data" / "mix", files)
    (folder / "empty").mkdir()
    (tmp_path / "elsewhere").write_bytes(b"linked")
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    for words in (["init", "-q", "--no-scm"], ["add", "-q", "data/mix"]):
        subprocess.run([sys.executable, "-m", "dvc", *words], cwd=checkout, check=True)
    assert f"md5: {md5_of(folder)}\n" in (checkout / "data" / "mix.dvc").read_text()


def test_what_dvc_cannot_pin_is_refused(tmp_path: Path) -> None:
    def refused(make: str, why: str) -> None:
        folder = write(tmp_path / make, {"a.txt": b"a"})
        thing = folder / "thing"
        if make == "link":
            thing.symlink_to(tmp_path)
        elif make == "dangling":
            thing.symlink_to(tmp_path / "nowhere")
        elif make == "pipe":
            os.mkfifo(thing)
        else:
            thing = folder / make
            thing.mkdir()
        if make in (".dvcignore", "cats.dvc"):
            thing.rmdir()
            thing.touch()
        with pytest.raises(InputError, match=why) as caught:
            md5_of(folder)
        assert str(thing) in str(caught.value)

    refused("link", "is a link to a folder, which DVC leaves out")
    refused("dangling", "is a link to nothing")
    refused("pipe", "is not a file")
    refused(".dvc", "cannot be pinned")
    refused("cats.dvc", "is a pin of DVC within the data")
    refused(".dvcignore", "must lie outside of the data")


def test_a_lost_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none does not exist"):
        md5_of(tmp_path / "none")
