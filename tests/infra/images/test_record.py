"""A workspace knows the images that were built in it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from infra import images
from infra.errors import InputError
from infra.images import Built, record

TRAINER = Built("trefoil-trainer", "sha256:1", "abc", "abcdef", 1.5)


def test_the_newest_build_of_a_name_is_found(tmp_path: Path) -> None:
    """A runner that found an older image would run older code."""
    newer = TRAINER._replace(id="sha256:2", digest="r/trefoil-trainer@sha256:3")
    server = TRAINER._replace(name="trefoil-server")
    for built in (TRAINER, server, newer):
        record.remember(tmp_path / "new", built)
    assert images.find(tmp_path / "new", "trefoil-trainer") == newer
    assert images.find(tmp_path / "new", "trefoil-server") == server


def test_images_that_are_built_at_once_are_all_known(tmp_path: Path) -> None:
    """Each adds itself to what it has read, and would write over what came between."""
    names = [f"image-{number}" for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: record.remember(tmp_path, TRAINER._replace(name=name)), names))
    assert [name for name in names if images.find(tmp_path, name) is None] == []


def test_what_was_never_built_is_not_found(tmp_path: Path) -> None:
    """A workspace without images is the usual one."""
    assert images.find(tmp_path, "trefoil-trainer") is None
    record.remember(tmp_path, TRAINER)
    assert images.find(tmp_path, "python:3.11-slim") is None


@pytest.mark.parametrize("text", ["", "[]", '{"a": {"id": 1}}', '{"a": 1}'])
def test_a_damaged_record_is_told_with_the_way_out(tmp_path: Path, text: str) -> None:
    """A traceback of JSON would not say that building again mends it."""
    (tmp_path / "images.json").write_text(text)
    with pytest.raises(InputError, match=r"images.json is damaged .* pipelines image build"):
        images.find(tmp_path, "a")
