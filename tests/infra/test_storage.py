"""Files: digests that see every change, and writes that happen whole or not at all."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.errors import InputError
from infra.storage import (
    append_line,
    difference,
    inside,
    remove,
    tree,
    tree_digest,
    write_whole,
)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    place = tmp_path / "place"
    (place / "b" / "c").mkdir(parents=True)
    (place / "a").write_text("one")
    (place / "b" / "c" / "d").write_text("two")
    return place


def test_a_tree_is_its_files_by_relative_name(place: Path) -> None:
    assert {name: size for name, (size, _) in tree(place).items()} == {"a": 3, "b/c/d": 3}
    assert list(tree(place / "a")) == ["."]


def test_the_digest_is_the_same_wherever_it_lies(place: Path, tmp_path: Path) -> None:
    before = tree_digest(tree(place))
    assert tree_digest(tree(place.rename(tmp_path / "elsewhere"))) == before


CHANGES: list[tuple[Callable[[Path], object], str]] = [
    (lambda place: (place / "a").write_text("oNe"), "a"),
    (lambda place: (place / "a").write_text("on"), "a"),
    (lambda place: (place / "a").unlink(), "a"),
    (lambda place: (place / "b" / "new").touch(), "b/new"),
    (lambda place: (place / "b" / "c" / "d").rename(place / "b" / "d"), "b/c/d"),
]


@pytest.mark.parametrize(("change", "named"), CHANGES)
def test_every_change_is_seen_and_named(
    place: Path, change: Callable[[Path], object], named: str
) -> None:
    before = tree(place)
    assert difference(place, before) == ""
    change(place)
    assert difference(place, before) == named
    assert tree_digest(tree(place)) != tree_digest(before)


def test_a_tree_that_is_gone_differs(place: Path) -> None:
    before = tree(place)
    remove(place)
    remove(place)  # what is not there need not be removed
    assert difference(place, before) == "a"


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    file, texts = tmp_path / "f", ["x" * 100_000, "y" * 100_000]
    write_whole(file, texts[0])

    def write(text: str) -> None:
        for _ in range(30):
            write_whole(file, text)

    writers = [threading.Thread(target=write, args=(text,)) for text in texts]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert file.read_text() in texts
    assert [each.name for each in tmp_path.iterdir()] == ["f"]


def test_a_write_that_fails_leaves_the_old_content_alone(tmp_path: Path) -> None:
    file = tmp_path / "f"
    write_whole(file, "old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(file, "new \udcff")
    assert file.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_line_that_was_cut_off_does_not_swallow_the_next(tmp_path: Path) -> None:
    """A crash or a full disk may leave half a line in the ledger."""
    file = tmp_path / "lines"
    append_line(file, "one")
    with file.open("a") as half:
        half.write("tw")
    append_line(file, "three")
    assert file.read_text() == "one\ntw\nthree\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_line_that_a_full_disk_does_not_take_is_told() -> None:
    """Half a line without a word would be a run that the ledger has forgotten."""
    with pytest.raises(OSError, match="No space left"):
        append_line(Path("/dev/full"), "one")


def test_a_name_stays_inside_its_folder(tmp_path: Path) -> None:
    assert inside(tmp_path, "run-1.a") == tmp_path / "run-1.a"
    for name in ("", ".", "..", "../x", "a/b", "/x", "a\\b", "a\0"):
        with pytest.raises(InputError, match="cannot name what lies in"):
            inside(tmp_path, name)
