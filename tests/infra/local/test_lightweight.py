"""Lightweight Python components run here as KFP runs them, by kfp's own executor."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra import ir
from infra import provider as providers
from infra.plan import Event, Token
from pipelines import compile
from tests.infra.local.driving import left_of, run, run_plan, said, states, step

LIGHTWEIGHT = Path(__file__).parents[2] / "plans" / "lightweight.py"
Run = Callable[..., list[Event]]


@pytest.fixture
def run_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Compile, read and run it. Its ``join`` has pip see to kfp first, which is here already."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")

    def run_it(run_id: str = "test-1", **given: Any) -> list[Event]:
        document = compile.load(str(LIGHTWEIGHT), tmp_path)
        return run_plan(tmp_path, ir.read(document, given), run_id)

    return run_it


def test_values_artefacts_and_metadata_go_in_and_come_out(run_it: Run, tmp_path: Path) -> None:
    events = run_it()
    assert events[-1].state == "succeeded", events[-1].message
    left = left_of(tmp_path)
    assert left["prepare"]["note"] == "extra is None"
    assert (left["fit-2"]["score"], left["fit-2"]["words"], left["fit-2"]["fresh"]) == (
        1.5, ["a", "b"], True,
    )  # fmt: skip
    assert Path(left["fit-2"]["model"]).read_text() == "XXX"
    assert left["join"]["Output"] == "['XXX', 'XXX'] [4.0, 5.0] 3"
    assert left["tell"]["Output"] == "SUCCEEDED"


def test_a_pip_install_in_this_environment_is_noted(tmp_path: Path) -> None:
    """It changes the person's own environment, where KFP changes a container."""
    place = providers.get("local")
    plan = ir.read(compile.load(str(LIGHTWEIGHT), tmp_path))
    notes = place.lower(plan, place.settings(), "r").notes
    assert "step join: it runs pip install in this Python environment" in notes
    assert not any("step prepare" in note for note in notes)


def test_metrics_without_a_file_are_shown_like_others(run_it: Run, tmp_path: Path) -> None:
    """kfp keeps them as metadata alone; ``run`` and ``report`` read metrics from the artefact."""
    run_it()
    metrics = Path(left_of(tmp_path)["fit-2"]["metrics"])
    assert json.loads(metrics.read_text("utf-8")) == {"metrics": {"rows": 3.0}}


def test_they_are_cached_with_what_they_told(run_it: Run, tmp_path: Path) -> None:
    run_it()
    again = states(run_it("test-2"))
    assert {again[name] for name in ("prepare", "fit-2", "join")} == {"cached"}
    assert left_of(tmp_path, "test-2")["join"] == left_of(tmp_path)["join"]
    assert states(run_it("test-3", rows=4))["join"] == "succeeded"


def asks(name: str, script: str, **options: Any) -> Any:
    """A step that asks for the executor input, as KFP's own executor does."""
    made = step(name, "import json; told = json.loads(place['told']); " + script, **options)
    return made._replace(argv=(*made.argv, (Token("text", "told="), Token("executor_input", ""))))


BACK = "json.dump({}, open(told['outputs']['outputFile'], 'w'))"


def test_metadata_alone_is_a_reason_to_run_again(tmp_path: Path) -> None:
    """The function can read it, so a step whose input has the same bytes may do something else."""

    def both(rows: int, run_id: str) -> dict[str, str]:
        listed = f"{{'d': {{'artifacts': [{{'metadata': {{'rows': {rows}}}}}]}}}}"
        make = BACK.format(f"{{'artifacts': {listed}}}") + "; open(place['d'], 'w').write('same')"
        take = (
            "art = told['inputs']['artifacts']['d']['artifacts'][0]; "
            "open(place['n'], 'w').write(str(art['metadata']['rows']))"
        )
        takes = asks("takes", take, takes={"d": "makes.d"}, values={"n": "NUMBER_INTEGER"})
        return states(run(tmp_path, asks("makes", make, makes=["d"]), takes, run_id=run_id))

    both(1, "test-1")
    assert both(2, "test-2")["takes"] == "succeeded"
    assert left_of(tmp_path, "test-2")["takes"]["n"] == 2
    assert both(2, "test-3")["takes"] == "cached"


@pytest.mark.parametrize(
    ("back", "words"),
    [
        ("[]", "wrote executor_output.json not as KFP has it"),
        ("{'parameterValues': 3}", "wrote executor_output.json not as KFP has it"),
        ("{'artifacts': {'d': {'artifacts': [{'uri': 'gs://x'}]}}}",
         "lazy says that its output d lies at gs://x; it must write to the path that it is given"),
        ("{'parameterValues': {'n': 'many'}, 'artifacts': {'d': {'artifacts': "
         "[{'uri': place['d']}]}}}", "n must be a whole number"),
        ("{}", "lazy ended well but did not write its output n"),
    ],
)  # fmt: skip
def test_what_is_written_back_wrongly_fails_the_step(tmp_path: Path, back: str, words: str) -> None:
    lazy = asks("lazy", BACK.format(back), makes=["d"], values={"n": "NUMBER_INTEGER"})
    events = run(tmp_path, lazy)
    assert states(events)["lazy"] == "failed"
    assert words in said(events, "lazy")


def test_in_a_shell_too_python_means_this_interpreter(tmp_path: Path) -> None:
    """A lightweight component is started by ``sh``: another Python would have no kfp."""
    import sys

    shell = step("shell", makes=["o"])
    script = 'python3 -c "import sys; print(sys.prefix)" > "$0"'
    words = [(Token("text", word),) for word in ("sh", "-ec", script)]
    shell = shell._replace(argv=(*words, (Token("output_path", "o"),)))
    run(tmp_path, shell)
    assert Path(left_of(tmp_path)["shell"]["o"]).read_text("utf-8").strip() == sys.prefix
