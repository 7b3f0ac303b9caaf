"""What a run left can be had without knowing how the cache lies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.pipelines.one_step import one_step
from tests.pipelines.test_cli import RUN, VERB, cli

WRITES = (
    "import os, sys; os.makedirs(sys.argv[1]); open(sys.argv[1] + '/a.txt', 'w').write('kept'); "
    "open(sys.argv[2], 'w').write('7')"
)


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """The workspace of a run that left a folder and a number."""
    pipeline = one_step(tmp_path / "p.yaml", WRITES, values={"rows": "NUMBER_INTEGER"})
    assert cli(tmp_path / "w", RUN, "--pipeline", pipeline).returncode == 0
    return tmp_path / "w"


def outputs(workspace: Path, *words: str) -> dict[str, dict[str, object]]:
    done = cli(workspace, VERB, "outputs", *words, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, object]] = json.loads(done.stdout)
    return found


def test_values_are_told_and_where_artefacts_lie(left: Path) -> None:
    """Whoever wants the model would have to dig in the cache for it."""
    ((_, found),) = outputs(left).items()
    assert found.pop("rows") == 7
    (place,) = found.values()
    assert Path(str(place), "a.txt").read_text() == "kept"


def test_artefacts_are_copied_whole_and_never_over_what_is_there(
    left: Path, tmp_path: Path
) -> None:
    """The cache's own copy must stay as it is; so must what a person has in a folder."""
    ((step, found),) = outputs(left, "--out", str(tmp_path / "out")).items()
    (name,) = found.keys() - {"rows"}
    copy = tmp_path / "out" / step / name
    assert found[name] == str(copy)
    assert (copy / "a.txt").read_text() == "kept"
    (copy / "a.txt").write_text("mine")
    again = cli(left, VERB, "outputs", "--out", str(tmp_path / "out"))
    assert again.returncode == 2
    assert "is there already; name an empty folder by --out" in again.stderr
    assert (copy / "a.txt").read_text() == "mine"


def test_an_unknown_step_is_named_beside_the_nearest(left: Path) -> None:
    done = cli(left, VERB, "outputs", "--step", "nobody")
    assert done.returncode == 2
    assert "no step nobody of this run left anything" in done.stderr
