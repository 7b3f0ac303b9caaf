"""What a stand-in knows outlives it."""

from __future__ import annotations

from pathlib import Path

from infra.rehearsal.store import Store


def test_a_later_command_finds_what_an_earlier_one_made(tmp_path: Path) -> None:
    """Names of Azure and of Google have slashes and colons: none may lead out of the folder."""
    for name in ("plain", "a/b:1", "../../out"):
        Store(tmp_path / "known").add("Job", name, f"id-{name}", state="made")
    again = Store(tmp_path / "known")
    assert [each["name"] for each in again.of("Job")] == ["plain", "a/b:1", "../../out"]
    found = again.by_arn("id-../../out")
    assert found is not None
    assert (found[0], found[1]["state"]) == ("Job", "made")
    assert [each.name for each in tmp_path.iterdir()] == ["known"]


def test_what_was_removed_stays_away(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add("Job", "a/b", "id")
    store.remove("Job", "a/b")
    assert store.get("Job", "a/b") is None
    assert Store(tmp_path).of("Job") == []
