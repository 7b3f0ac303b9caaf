"""kfp is started once per change of a pipeline, and what kfp would miscompile is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.errors import InputError
from pipelines import compile
from pipelines.interrupt import run

SOURCE = """
from kfp import dsl

@dsl.container_component
def say(text: str, flag: dsl.OutputPath(bool)):
    return dsl.ContainerSpec(image="i", command=["echo"], args=[text, flag])

@dsl.pipeline(name="small")
def small(n: int = 1):
    said = say(text="a")
    with dsl.If({condition}):
        say(text="b")
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "small.py"
    file.write_text(SOURCE.format(condition='said.outputs["flag"] == True'))
    return file


def test_a_second_load_starts_no_kfp_and_a_change_does(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Importing kfp takes many times as long as everything else that a dry run does."""
    first = compile.load(str(source), tmp_path)
    started: list[object] = []

    def counted(argv: list[str]) -> subprocess.CompletedProcess[str]:
        started.append(argv)
        return run(argv)

    monkeypatch.setattr(compile, "run", counted)
    assert compile.load(str(source), tmp_path) == first
    assert started == []
    source.write_text(source.read_text().replace('"b"', '"c"'))
    assert compile.load(str(source), tmp_path) != first
    assert len(started) == 1


def test_a_warm_workspace_needs_no_kfp_at_all(source: Path, tmp_path: Path) -> None:
    """Poison stands where kfp would be found: whoever imports it, in any process, dies of it."""
    command = "import sys; from pathlib import Path; from pipelines import compile; "
    command += "compile.load(sys.argv[1], Path(sys.argv[2]))"
    poison = tmp_path / "poison"
    poison.mkdir()
    (poison / "kfp.py").write_text("raise SystemExit('kfp was imported')")

    def load() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", command, str(source), str(tmp_path)],
            env={"PYTHONPATH": str(poison)}, capture_output=True, text=True, check=False,
            cwd=Path(__file__).parent.parent.parent,
        )  # fmt: skip

    assert "kfp was imported" in load().stderr
    compile.load(str(source), tmp_path)
    assert load().returncode == 0


def test_a_change_in_a_file_that_the_pipeline_imports_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kept by the pipeline's own file alone, the IR would hide the change."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "shared_words.py").write_text("WORD = 'one'")
    file = tmp_path / "small.py"
    text = SOURCE.format(condition="n == 1").replace('"b"', "shared_words.WORD")
    file.write_text(f"import shared_words\n{text}")
    assert "'one'" in str(compile.load(str(file), tmp_path))
    (tmp_path / "shared_words.py").write_text("WORD = 'three'")
    assert "'three'" in str(compile.load(str(file), tmp_path))


@pytest.mark.parametrize("before", ["wanted = n > 1 and n < 5", "wanted = bool(n)", "assert n"])
def test_no_way_around_a_condition_leads_to_half_of_it(
    source: Path, tmp_path: Path, before: str
) -> None:
    """Held in a variable, the half that is left looks like any other condition."""
    text = SOURCE.format(condition="n > 1").replace("    said =", f"    {before}\n    said =")
    source.write_text(text)
    with pytest.raises(InputError, match=r"line 10: a value of the pipeline is not known yet"):
        compile.load(str(source), tmp_path)


def test_a_copy_under_another_name_is_another_pipeline(source: Path, tmp_path: Path) -> None:
    """The name chooses among a file's pipelines: kept by content, the wrong one would run."""
    other = source.read_text().split("@dsl.pipeline")[1].replace("small", "other")
    source.write_text(f"{source.read_text()}\n@dsl.pipeline{other}")
    copy = tmp_path / "other.py"
    copy.write_text(source.read_text())
    names = [
        compile.load(str(each), tmp_path)["pipeline"]["pipelineInfo"]["name"]
        for each in (source, copy)
    ]
    assert names == ["small", "other"]


def test_a_change_in_a_file_that_the_pipeline_reads_is_seen(source: Path, tmp_path: Path) -> None:
    """A component loaded from YAML is such a file."""
    word = tmp_path / "word.txt"
    word.write_text("one")
    text = source.read_text().replace('"b"', f"open({str(word)!r}).read()")
    source.write_text(text)
    assert "'one'" in str(compile.load(str(source), tmp_path))
    word.write_text("three")
    assert "'three'" in str(compile.load(str(source), tmp_path))


def test_a_change_of_a_variable_that_the_pipeline_asks_for_is_seen(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run would still greet as it was told the day before."""
    asked = 'os.environ.get("GREETING", "nobody")'
    source.write_text(f"import os\n{source.read_text()}".replace('"b"', asked))
    for greeting in ("one", "three"):
        monkeypatch.setenv("GREETING", greeting)
        assert f"'{greeting}'" in str(compile.load(str(source), tmp_path))
    monkeypatch.delenv("GREETING")
    assert "'nobody'" in str(compile.load(str(source), tmp_path))
    (kept,) = [each for each in (tmp_path / "ir").glob("*.json") if "nobody" in each.read_text()]
    assert "three" not in kept.read_text()


def test_what_the_file_prints_is_no_ir(source: Path, tmp_path: Path) -> None:
    """A word for whoever runs it would stand before the YAML."""
    expected = compile.load(str(source), tmp_path)
    source.write_text(source.read_text() + "\nprint('building: the pipeline')\n")
    assert compile.load(str(source), tmp_path) == expected


def test_damaged_ir_is_made_anew(source: Path, tmp_path: Path) -> None:
    first = compile.load(str(source), tmp_path)
    (kept,) = (tmp_path / "ir").glob("*.json")
    kept.write_text(kept.read_text()[:100])
    assert compile.load(str(source), tmp_path) == first


def test_the_second_document_of_a_file_is_its_platforms(source: Path, tmp_path: Path) -> None:
    import yaml

    document = compile.load(str(source), tmp_path)["pipeline"]
    platform: dict[str, Any] = {"platforms": {"kubernetes": {"deploymentSpec": {}}}}
    both = tmp_path / "both.yaml"
    both.write_text(yaml.safe_dump_all([document, platform]))
    assert compile.load(str(both), tmp_path) == {"pipeline": document, "platforms": platform}


@pytest.mark.parametrize(
    "condition",
    ["n > 1 and said.outputs['flag'] == True", "n > 1 or n < 0", "0 < n < 10", "not (n > 1)"],
)
def test_a_compound_condition_is_refused_by_its_line(
    source: Path, tmp_path: Path, condition: str
) -> None:
    """kfp 2.17 compiles ``a and b`` to ``b`` alone: a gate with a hole."""
    source.write_text(SOURCE.format(condition=condition))
    with pytest.raises(InputError, match=r"small.py does not compile: line 11: a value of the pip"):
        compile.load(str(source), tmp_path)


@pytest.mark.parametrize("call", ["If({0})", "dsl.If(condition={0})"])
def test_no_spelling_of_a_compound_condition_passes(
    source: Path, tmp_path: Path, call: str
) -> None:
    compound = call.format("n > 1 and n < 5")
    text = SOURCE.format(condition="n > 1").replace("dsl.If(n > 1)", compound)
    source.write_text(f"from kfp.dsl import If{text}")
    with pytest.raises(InputError, match=r"and kfp would go on with the last part alone"):
        compile.load(str(source), tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def (", "line 1: invalid syntax"),
        ("x = 1", "has no @dsl.pipeline"),
        ("import no_such_library", "No module named 'no_such_library'"),
        ("from kfp import dsl\n@dsl.pipeline\ndef a(): ...", "does not compile"),
    ],
)
def test_a_file_that_does_not_compile_is_one_sentence(
    tmp_path: Path, text: str, words: str
) -> None:
    file = tmp_path / "wrong.py"
    file.write_text(text)
    with pytest.raises(InputError, match=words) as refusal:
        compile.load(str(file), tmp_path)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x = 1\0"])
def test_a_binary_file_called_py_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "wrong.py"
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"wrong.py") as refusal:
        compile.load(str(file), tmp_path)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe\x00", b"a: [", b"just text", b"", b"- 1\n- 2",
        b"a: &a\n  b: *a\n", b"a: 2020-01-01", b"a: .nan",
    ],
)  # fmt: skip
def test_what_is_not_ir_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"wrong.yaml") as refusal:
        compile.load(str(file), tmp_path)
    assert "\n" not in str(refusal.value)


def test_aliases_that_grow_without_bounds_are_one_sentence(tmp_path: Path) -> None:
    """A hundred words of YAML can stand for more values than memory holds."""
    levels = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    (tmp_path / "bomb.yaml").write_text("\n".join(["a0: &a0 [lol]", *levels]))
    with pytest.raises(InputError, match="more than 1,000,000 values"):
        compile.load(str(tmp_path / "bomb.yaml"), tmp_path)


def test_without_kfp_the_person_is_told_what_to_install(source: Path, tmp_path: Path) -> None:
    (tmp_path / "kfp.py").write_text("raise ImportError('poisoned')")
    run = subprocess.run(
        [sys.executable, "-m", "pipelines.compiling", str(source), str(tmp_path / "out")],
        env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False,
        cwd=Path(__file__).parent.parent.parent,
    )  # fmt: skip
    assert run.returncode == 1
    assert run.stderr == "compiling needs kfp: run `make setup`, or install the extra kfp\n"
