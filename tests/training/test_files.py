"""JSON between steps: bytes that the cache can trust, and one sentence where there are none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from training.errors import InputError, nearest
from training.files import read_json, read_object, write_json


def test_the_same_value_is_the_same_bytes(tmp_path: Path) -> None:
    """Steps are cached by content: the order of a dict must not train a model anew."""
    write_json(tmp_path / "a.json", {"b": 1, "a": ["ü", None]})
    write_json(tmp_path / "b.json", {"a": ["ü", None], "b": 1})
    written = (tmp_path / "a.json").read_bytes()
    assert written == (tmp_path / "b.json").read_bytes()
    assert "ü".encode() in written
    assert read_json(tmp_path / "a.json", "thing") == {"a": ["ü", None], "b": 1}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "{folder} is no thing: it has no x.json"),
        (b"{", "{folder}/x.json cannot be read: Expecting property name"),
        (b"\xff", "{folder}/x.json cannot be read: 'utf-8' codec"),
        (b"[" * 100_000, "{folder}/x.json cannot be read: "),
        (b"[]", "{folder}/x.json is not of format 3, the one known here; make it anew"),
        (b'{"format": 2}', "{folder}/x.json is not of format 3, the one known here; make it anew"),
    ],
)
def test_what_is_no_such_file_is_refused_by_name(
    tmp_path: Path, content: bytes | None, complaint: str
) -> None:
    if content is not None:
        (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(InputError) as refused:
        read_object(tmp_path / "x.json", "thing", 3, "make it anew")
    assert str(refused.value).startswith(complaint.format(folder=tmp_path))
    (tmp_path / "x.json").write_text(json.dumps({"format": 3, "a": 1}))
    assert read_object(tmp_path / "x.json", "thing", 3, "make it anew")["a"] == 1


def test_the_word_that_was_meant_is_named() -> None:
    """A typing error costs one look, not a search."""
    assert nearest("digts", ["digits", "mnist"]) == "did you mean digits?"
    assert nearest("zzz", ["digits", "mnist"], "sets are ") == "sets are digits, mnist"
    assert nearest("zzz", []) == "known are none"
