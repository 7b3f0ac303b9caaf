"""What can be asked about a run: its state, its logs, and why a step ran."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from infra import provider as providers
from infra.errors import InputError
from infra.local import LocalSettings
from infra.local.rundir import RunDirectory
from infra.plan import Plan, RunRef
from tests.infra.local.driving import run, step


def test_an_unknown_run_is_one_sentence(tmp_path: Path) -> None:
    place, own = providers.get("local"), LocalSettings(workspace=str(tmp_path))
    with pytest.raises(InputError, match="there is no run nothing-1"):
        place.status(RunRef("local", "nothing-1"), own)


def test_logs_follow_until_the_end_and_carry_every_line_once(tmp_path: Path) -> None:
    place, own = providers.get("local"), LocalSettings(workspace=str(tmp_path))
    script = "\n".join(f"print({n}, flush=True); time.sleep(0.03)" for n in range(20))
    request = place.lower(Plan("p", (step("talk", script.replace("\n", "; ")),)), own, "test-1")
    ref = place.submit(request, own, dict)
    seen: list[str] = []
    reader = threading.Thread(
        target=lambda: seen.extend(line.text for line in place.logs(ref, own, "", follow=True))
    )
    reader.start()
    list(place.follow(ref, own))
    reader.join(20)
    assert seen == [str(n) for n in range(20)]


@pytest.mark.parametrize("follow", [True, False])
def test_logs_of_a_step_that_there_is_not_are_refused_at_once(tmp_path: Path, follow: bool) -> None:
    """Followed, a slip of the finger would otherwise wait as long as the training takes."""
    place, own = providers.get("local"), LocalSettings(workspace=str(tmp_path))
    request = place.lower(Plan("p", (step("talk"),)), own, "test-1")
    ref = place.submit(request, own, dict)  # and nobody drives it: it never ends
    with pytest.raises(InputError, match="run test-1 has no step tlak"):
        next(place.logs(ref, own, "tlak", follow))
    list(place.follow(ref, own))


def test_logs_of_a_step_that_has_not_begun_are_waited_for(tmp_path: Path) -> None:
    """It is in the plan: what it will print is worth waiting for."""
    place, own = providers.get("local"), LocalSettings(workspace=str(tmp_path))
    request = place.lower(Plan("p", (step("talk", "print('said')"),)), own, "test-1")
    ref = place.submit(request, own, dict)
    seen: list[str] = []
    lines = place.logs(ref, own, "talk", follow=True)
    reader = threading.Thread(target=lambda: seen.extend(line.text for line in lines))
    reader.start()
    list(place.follow(ref, own))
    reader.join(20)
    assert seen == ["said"]


@pytest.mark.parametrize("text", ["{", "[]", '{"plan": {"steps": [1]}}'])
def test_a_damaged_request_does_not_stop_a_person_from_looking(tmp_path: Path, text: str) -> None:
    place, own = providers.get("local"), LocalSettings(workspace=str(tmp_path))
    run(tmp_path, step("use", makes=["o"]))
    (tmp_path / "runs" / "test-1" / "request.json").write_text(text)
    ref = RunRef("local", "test-1")
    assert place.why(ref, own, "use") == ["use never ran here before test-1"]
    assert place.history(ref, own).plan is None
    with pytest.raises(InputError, match="has no step sue"):
        next(place.logs(ref, own, "sue", follow=True))


def test_why_says_what_became_of_a_step_in_which_nothing_changed(tmp_path: Path) -> None:
    """Used again, or run again because what it left is gone: a person wants to know which."""
    place, own = providers.get("local"), LocalSettings(workspace=str(tmp_path))
    use = step("use", makes=["o"])
    run(tmp_path, use)
    run(tmp_path, use, run_id="test-2")
    entry = RunDirectory(tmp_path, "test-1").step("use").entry()
    assert entry is not None
    entry.output("o").unlink()
    run(tmp_path, use, run_id="test-3")
    same = "nothing that goes into use changed since"
    assert place.why(RunRef("local", "test-2"), own, "use") == [
        f"{same} test-1: what it left then was used"
    ]
    assert place.why(RunRef("local", "test-3"), own, "use") == [
        f"{same} test-2, but it ran again: nothing whole was kept of it"
    ]


def test_why_names_what_changed(tmp_path: Path) -> None:
    place, own = providers.get("local"), LocalSettings(workspace=str(tmp_path))
    run(tmp_path, step("use", given={"rate": 1}, makes=["o"]))
    run(tmp_path, step("use", given={"rate": 2}, makes=["o"]), run_id="test-2")
    run(tmp_path, step("use", given={"rate": 2}, makes=["o"]), run_id="test-3")
    assert place.why(RunRef("local", "test-1"), own, "use") == ["use never ran here before test-1"]
    assert place.why(RunRef("local", "test-2"), own, "use") == [
        "since test-1:", "input rate changed from 1 to 2",
    ]  # fmt: skip
    assert (
        "nothing that goes into use changed" in place.why(RunRef("local", "test-3"), own, "use")[0]
    )
