"""What KFP's DSL says beside plain steps really runs on this machine, from DSL to files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra import ir
from infra.errors import InputError, UnsupportedError
from infra.plan import Event, Output
from pipelines import compile
from tests.infra.local.driving import left_of, run, run_plan, said, states, step

PLANS = Path(__file__).parents[2] / "plans"
Run = Callable[..., list[Event]]


@pytest.fixture
def from_dsl(tmp_path: Path) -> Run:
    """Compile a pipeline of ``tests/plans``, read it and run it."""

    def run_it(name: str, run_id: str = "test-1", **given: Any) -> list[Event]:
        document = compile.load(str(PLANS / f"{name}.py"), tmp_path)
        return run_plan(tmp_path, ir.read(document, given), run_id)

    return run_it


def test_loops_run_and_what_they_leave_is_collected(from_dsl: Run, tmp_path: Path) -> None:
    """``pick`` reads each model that it is given and compares it with the score of that place."""
    events = from_dsl("loops")
    assert events[-1].state == "succeeded"
    left = left_of(tmp_path)
    assert left["again.pick"]["found"] == [0.5, 0.25, 1.5]
    assert left["pick"]["found"] == [0.1, 0.2, 0.1, 0.2]
    assert (left["say-1"]["said"], left["say-3-1-2"]["said"]) == ("rate 0.5", "c 2.5")
    found = states(events)
    assert [found[f"say-{n}"] for n in (1, 2, 3)] == ["succeeded", "skipped", "succeeded"]


def test_one_more_item_runs_only_its_own_iteration(from_dsl: Run, tmp_path: Path) -> None:
    """Iterations are steps: what was trained for the others is taken from the cache."""
    from_dsl("loops")
    found = states(from_dsl("loops", "test-2", rates=[0.1, 0.2, 0.3]))
    assert [found[f"train-2-1-{n}"] for n in (1, 2)] == ["cached", "cached"]
    assert "succeeded" in (found["train-2-1-3"], found["train-2-2-3"])
    assert left_of(tmp_path, "test-2")["pick"]["found"] == [0.1, 0.2, 0.3] * 2


def test_optional_inputs_and_the_placeholders_that_mind_them(from_dsl: Run, tmp_path: Path) -> None:
    from_dsl("optional", b="B")
    left = {name: values.get("said") for name, values in left_of(tmp_path).items()}
    assert left["tell"] == "--a=x|--b|B|--b=B|{xB}"
    assert left["inner.tell"] == "--a=in|--no-b|{innone}"
    assert left["inner-2.tell"] == "--a=in|--b|B|--b=B|{inB}"
    assert str(left["tell-2"]).startswith("--a=x|--b|B|--b=B|--model|/")


def test_what_is_left_out_is_not_there(from_dsl: Run, tmp_path: Path) -> None:
    from_dsl("optional")
    assert left_of(tmp_path)["tell"]["said"] == "--a=x|--no-b|{xnone}"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data here"
    folder.mkdir()
    for name in "ab":
        (folder / f"{name}.csv").write_text(f"{name}\n")
    return folder


@pytest.mark.parametrize("as_uri", [False, True])
def test_an_import_is_taken_from_where_it_lies(
    from_dsl: Run, tmp_path: Path, data: Path, as_uri: bool
) -> None:
    events = from_dsl("importers", folder=data.as_uri() if as_uri else str(data))
    assert events[-1].state == "succeeded"
    left = left_of(tmp_path)
    assert (left["use"]["said"], left["use-2"]["said"], left["count"]["total"]) == ("a\n", "b\n", 2)


def test_an_import_is_known_by_its_content(from_dsl: Run, tmp_path: Path, data: Path) -> None:
    """A file changed in place is new data, though its URI is the same; so is the list it is in."""
    from_dsl("importers", folder=str(data))
    assert states(from_dsl("importers", "test-2", folder=str(data)))["use"] == "cached"
    (data / "a.csv").write_text("changed\n")
    found = states(from_dsl("importers", "test-3", folder=str(data)))
    assert (found["use"], found["use-2"], found["count"]) == ("succeeded", "cached", "succeeded")
    assert left_of(tmp_path, "test-3")["use"]["said"] == "changed\n"


def test_a_missing_import_is_told_before_anything_runs(from_dsl: Run, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"step \w+ imports .*a.csv, and there is no file or folder"
    ):
        from_dsl("importers", folder=str(tmp_path))
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("folder", ["gs://bucket", "s3://bucket", "https://host", "file://host"])
def test_an_import_from_elsewhere_is_refused(from_dsl: Run, folder: str) -> None:
    with pytest.raises(UnsupportedError, match="local reads only paths and file:// URIs"):
        from_dsl("importers", folder=folder)


def test_an_import_that_a_step_names_wrongly_fails_its_consumer(
    from_dsl: Run, data: Path, tmp_path: Path
) -> None:
    (data / "b.csv").unlink()
    plan = ir.read(
        compile.load(str(PLANS / "importers.py"), tmp_path), {"folder": str(data), "name": "a.csv"}
    )
    steps = tuple(step for step in plan.steps if step.name != "count")
    events = run_plan(tmp_path, plan._replace(steps=steps))
    assert states(events)["use-2"] == "failed"
    assert "b.csv, and there is no file or folder" in said(events, "use-2")


WRITE = "open(place['o'], 'w').write(place['v'])"


def test_a_value_of_a_hundred_kilobytes_arrives_whole(tmp_path: Path) -> None:
    big = "é" * 60_000
    run(tmp_path, step("takes", WRITE, given={"v": big}, makes=["o"]))
    assert Path(left_of(tmp_path)["takes"]["o"]).read_text("utf-8") == big


def test_a_value_too_long_for_a_command_is_one_sentence(tmp_path: Path) -> None:
    """Linux refuses it with E2BIG, which names neither the step nor the input."""
    makes = "open(place['v'], 'w').write('x' * 3_000_000)"
    takes = step("takes", WRITE, given={"v": ""}, makes=["o"])
    takes = takes._replace(inputs={"v": Output("makes", "v")})
    events = run(tmp_path, step("makes", makes, values={"v": "STRING"}), takes)
    last = next(event for event in events if event.step == "takes" and event.state == "failed")
    assert last.code == 2
    assert last.message.startswith("the value of v makes an argument of 3000002 bytes")
    assert "write it to a file" in last.message


def test_many_large_values_are_one_sentence_too(tmp_path: Path) -> None:
    """Each fits, all together do not: Linux limits the whole command as well."""
    given = {f"v{n}": "x" * 120_000 for n in range(60)}
    events = run(tmp_path, step("takes", WRITE, given=given, makes=["o"]))
    words = "takes: its command is longer than this system takes; pass large values as artefacts"
    assert said(events, "takes") == words
