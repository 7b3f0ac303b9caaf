"""The cache: an entry is used only when every file of it is what was sealed."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from infra.cache import MANIFEST, OUTPUTS, Entry, StepCache, key, read, seal, unseal
from infra.plan import Json
from infra.storage import difference

KEY = key({"command": ["a"], "inputs": {"x": 1}})


def made(place: Path, text: str = "content") -> Path:
    """What a step leaves, sealed."""
    (place / OUTPUTS / "model").mkdir(parents=True)
    (place / OUTPUTS / "model" / "weights").write_text(text)
    (place / OUTPUTS / "file").write_text(text)
    (place / OUTPUTS / "empty").mkdir()
    seal(place, KEY, ["model", "file", "empty"], {"score": 0.5})
    return place


def test_a_key_is_of_the_content_whatever_its_order() -> None:
    assert key({"inputs": {"x": 1}, "command": ["a"]}) == KEY
    others = [
        {"command": ["b"], "inputs": {"x": 1}},
        {"command": ["a"], "inputs": {"x": "1"}},
        {"command": ["a"], "inputs": {"y": 1}},
    ]
    assert KEY not in {key(each) for each in others}  # type: ignore[arg-type]


def test_what_was_kept_is_found(tmp_path: Path) -> None:
    cache = StepCache(tmp_path / "cache")
    assert cache.find(KEY) == (None, "")
    kept = cache.keep(made(tmp_path / "step"), KEY)
    found, wrong = cache.find(KEY)
    assert (found, wrong) == (kept, "")
    assert kept.values == {"score": 0.5}
    assert (kept.output("model") / "weights").read_text() == "content"
    assert kept.output("empty").is_dir()
    assert not (tmp_path / "step").exists()


def test_the_same_content_has_the_same_digest_in_every_place(tmp_path: Path) -> None:
    one, two = (read(made(tmp_path / name)) for name in "ab")
    assert one.digests == two.digests
    assert read(made(tmp_path / "c", "other")).digests != one.digests


def _weights(place: Path) -> Path:
    return place / OUTPUTS / "model" / "weights"


DAMAGE: list[tuple[Callable[[Path], object], str]] = [
    (lambda place: _weights(place).write_text("c0ntent"), "model/weights"),
    (lambda place: _weights(place).write_text("cont"), "model/weights"),
    (lambda place: _weights(place).unlink(), "model/weights"),
    (lambda place: (place / OUTPUTS / "file").write_text(""), "file"),
    (lambda place: (place / MANIFEST).write_text("{"), MANIFEST),
    (lambda place: (place / MANIFEST).write_text("[]"), MANIFEST),
    (lambda place: (place / MANIFEST).write_text(json.dumps({"key": KEY})), MANIFEST),
    (lambda place: (place / MANIFEST).unlink(), MANIFEST),
    (lambda place: seal(place, "0" * 64, [], {}), MANIFEST),
    (lambda place: (place / OUTPUTS / "empty").rmdir(), "empty"),
]


@pytest.mark.parametrize(("damage", "named"), DAMAGE)
def test_a_damaged_entry_is_named_and_gone(
    tmp_path: Path, damage: Callable[[Path], object], named: str
) -> None:
    """A bit that turned on disk must not become a model that is served."""
    cache = StepCache(tmp_path / "cache")
    damage(cache.keep(made(tmp_path / "step"), KEY).directory)
    found, wrong = cache.find(KEY)
    assert found is None
    assert wrong.startswith(named)
    assert cache.find(KEY) == (None, "")
    assert cache.keep(made(tmp_path / "again"), KEY).values == {"score": 0.5}


def test_an_entry_of_another_key_is_not_taken(tmp_path: Path) -> None:
    assert unseal(made(tmp_path / "step"), "0" * 64) == (None, "")
    assert unseal(tmp_path / "none", KEY) == (None, "")


def test_who_comes_second_uses_what_the_first_kept(tmp_path: Path) -> None:
    cache = StepCache(tmp_path / "cache")
    first = cache.keep(made(tmp_path / "one", "first"), KEY)
    second = cache.keep(made(tmp_path / "two", "second"), KEY)
    assert second == first
    assert (second.output("file")).read_text() == "first"
    assert not (tmp_path / "two").exists()


def test_damage_that_another_run_has_healed_meanwhile_is_let_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Verifying large files takes minutes; what the other run made in them is in use by then."""
    cache = StepCache(tmp_path / "cache")
    _weights(cache.keep(made(tmp_path / "one"), KEY).directory).write_text("c0ntent")
    healed = list[Entry]()

    def meanwhile(path: Path, expected: dict[str, list[Json]]) -> str:
        wrong = difference(path, expected)
        if wrong and not healed:
            monkeypatch.setattr("infra.cache.difference", difference)
            assert cache.find(KEY) == (None, "model/weights")
            healed.append(cache.keep(made(tmp_path / "two"), KEY))
        return wrong

    monkeypatch.setattr("infra.cache.difference", meanwhile)
    assert cache.find(KEY) == (healed[0], "")
    assert _weights(healed[0].directory).read_text() == "content"


def test_two_that_meet_one_damaged_entry_at_once_both_have_one_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = StepCache(tmp_path / "cache")
    _weights(cache.keep(made(tmp_path / "one"), KEY).directory).write_text("c0ntent")
    both, looks = threading.Barrier(2), itertools.count()

    def together(directory: Path, step_key: str) -> tuple[Entry | None, str]:
        found = unseal(directory, step_key)
        if next(looks) < 2:
            both.wait(30)
        return found

    def run(name: str) -> Entry:
        found, _ = cache.find(KEY)
        return found or cache.keep(made(tmp_path / name), KEY)

    monkeypatch.setattr("infra.cache.unseal", together)

    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(run, ["two", "three"])
    assert one == two
    assert _weights(one.directory).read_text() == "content"


def test_a_third_that_comes_between_is_used_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The place was taken, then free, then taken again: a rename onto a full folder fails."""
    cache = StepCache(tmp_path / "cache")
    _weights(cache.keep(made(tmp_path / "one"), KEY).directory).unlink()
    thirds = list[Entry]()

    def meanwhile(step_key: str) -> tuple[Entry | None, str]:
        found = StepCache.find(cache, step_key)
        if not thirds:
            thirds.append(StepCache(tmp_path / "cache").keep(made(tmp_path / "three"), KEY))
        return found

    monkeypatch.setattr(cache, "find", meanwhile)
    assert cache.keep(made(tmp_path / "two", "second"), KEY) == thirds[0]
    assert not (tmp_path / "two").exists()


def test_who_comes_second_replaces_what_is_damaged(tmp_path: Path) -> None:
    cache = StepCache(tmp_path / "cache")
    _weights(cache.keep(made(tmp_path / "one", "first"), KEY).directory).unlink()
    second = cache.keep(made(tmp_path / "two", "second"), KEY)
    assert second.output("file").read_text() == "second"
