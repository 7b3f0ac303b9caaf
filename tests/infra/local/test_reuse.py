"""What ran before is used again where nothing of it changed, and only if it is whole."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from infra.cache import Entry, unseal
from infra.local.rundir import RunDirectory
from tests.infra.local.driving import chain, left, run, states, step


def test_a_second_run_takes_everything_from_the_cache(tmp_path: Path) -> None:
    run(tmp_path, *chain())
    again = run(tmp_path, *chain(), run_id="test-2")
    assert states(again) == {
        "": "succeeded",
        "first": "cached",
        "second": "cached",
        "third": "cached",
    }
    assert left(tmp_path, "third", run_id="test-2") == "xyy"


def test_a_changed_step_that_makes_the_same_content_does_not_rerun_the_next(tmp_path: Path) -> None:
    """The cache is by content: a comment in one step must not retrain the model behind it."""
    run(tmp_path, *chain())
    changed = [step("first", "open(place['o'], 'w').write('x')  # same", makes=["o"]), *chain()[1:]]
    assert states(run(tmp_path, *changed, run_id="test-2")) == {
        "": "succeeded", "first": "succeeded", "second": "cached", "third": "cached",
    }  # fmt: skip


@pytest.mark.parametrize("damage", ["content", "truncated", "missing", "extra", "manifest"])
def test_a_damaged_cache_entry_is_noticed_and_made_anew(tmp_path: Path, damage: str) -> None:
    """A flipped bit on disk must never reach the next step."""
    run(tmp_path, *chain())
    entry = RunDirectory(tmp_path, "test-1").step("second").entry()
    assert entry is not None
    file = entry.output("o")
    if damage == "content":
        file.write_text("xz")
    elif damage == "truncated":
        file.write_text("x")
    elif damage == "missing":
        file.unlink()
    elif damage == "extra":
        file.unlink()
        file.mkdir()
        (file / "more").write_text("xy")
    else:
        (entry.directory / "manifest.json").write_text('{"key": ')
    events = run(tmp_path, *chain(), run_id="test-2")
    assert states(events)["second"] == "succeeded"
    assert any("damaged" in event.message for event in events if event.step == "second")
    assert left(tmp_path, "third", run_id="test-2") == "xyy"


def test_two_runs_that_meet_one_damaged_entry_at_once_both_succeed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each throws it away and makes it anew; neither may throw away what the other goes on with."""
    run(tmp_path, *chain())
    entry = RunDirectory(tmp_path, "test-1").step("second").entry()
    assert entry is not None
    entry.output("o").write_text("xz")
    both, met = threading.Barrier(2), itertools.count()

    def together(directory: Path, step_key: str) -> tuple[Entry | None, str]:
        found = unseal(directory, step_key)
        if found[1] and next(met) < 2:
            both.wait(60)
        return found

    monkeypatch.setattr("infra.cache.unseal", together)
    with ThreadPoolExecutor(2) as pool:
        runs = pool.map(lambda name: run(tmp_path, *chain(), run_id=name), ["test-2", "test-3"])
        assert [states(events)[""] for events in runs] == ["succeeded", "succeeded"]
    for name in ("test-2", "test-3"):
        assert left(tmp_path, "third", run_id=name) == "xyy"
