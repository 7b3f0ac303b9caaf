"""A step runs again exactly when code that it could reach has changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.local.code import Sources

FILES = {
    "steps/__init__.py": "",
    "steps/train.py": "import json\nfrom science import loop\nfrom steps import contract\n",
    "steps/other.py": "",
    "steps/contract.py": "from .words import greet\n",
    "steps/words.py": "def greet(): ...\n",
    "science/__init__.py": "",
    "science/loop.py": "def run():\n    from science.late import thing\n",
    "science/late.py": "",
    "science/unused.py": "",
    "plugins/__init__.py": "",
    "plugins/load.py": "import importlib\nimportlib.import_module('plugins.' + 'vae')\n",
    "plugins/vae.py": "",
    "plugins/table.toml": "",
    "scripts/tool.py": "import helper\n",
    "scripts/helper.py": "",
    "weights.bin": "w",
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files(project: Path, *command: str) -> set[str]:
    return set(Sources(project, project / "memory.json").of(list(command)))


def test_a_module_means_every_file_that_it_imports_and_no_other(project: Path) -> None:
    """Helpers of helpers count (others' caches miss them); a file nobody imports does not."""
    assert files(project, "python", "-m", "steps.train") == {
        "steps/__init__.py", "steps/train.py", "steps/contract.py", "steps/words.py",
        "science/__init__.py", "science/loop.py", "science/late.py",
    }  # fmt: skip


def test_an_import_by_name_at_run_time_means_the_whole_package(project: Path) -> None:
    """Which plugin is loaded cannot be read from the source: its data files count too."""
    found = files(project, "python3", "-m", "plugins.load")
    assert {"plugins/vae.py", "plugins/table.toml"} <= found


def test_a_script_means_itself_and_what_lies_beside_it(project: Path) -> None:
    assert files(project, "python", "scripts/tool.py") == {"scripts/tool.py", "scripts/helper.py"}


@pytest.mark.parametrize(
    "command",
    [
        ["python", "-u", "-X", "dev", "-m", "steps.train"],
        ["sh", "-c", "cd . && A=b exec python -m steps.train --x 'y z'"],
        ["bash", "-c", "python3 -m steps.train | tee log"],
    ],
)
def test_the_same_module_is_found_however_it_is_started(project: Path, command: list[str]) -> None:
    """A shell around a command, the commonest form of all, must not hide its code."""
    assert {"steps/train.py", "science/late.py"} <= files(project, *command)


def test_a_package_run_as_a_program_means_its_main(project: Path) -> None:
    (project / "plugins/__main__.py").write_text("import scripts_of_it\n")
    assert "plugins/__main__.py" in files(project, "python", "-m", "plugins")


def test_a_table_beside_a_module_counts(project: Path) -> None:
    """The catalogue of data sets is code too: a corrected class name must not be missed."""
    (project / "science/table.toml").write_text("")
    assert "science/table.toml" in files(project, "python", "-m", "steps.train")


def test_any_file_named_on_the_command_line_counts(project: Path) -> None:
    assert files(project, "cat", "weights.bin", "--not-a-file") == {"weights.bin"}


def test_a_changed_helper_changes_the_digest_also_with_a_memory(project: Path) -> None:
    sources = Sources(project, project / "memory.json")
    before = sources.of(["python", "-m", "steps.train"])
    sources.remember()
    (project / "steps/words.py").write_text("def greet(): return 1\n")
    after = Sources(project, project / "memory.json").of(["python", "-m", "steps.train"])
    assert {name for name in before if before[name] != after[name]} == {"steps/words.py"}


def test_a_file_that_appears_where_an_import_looks_counts(project: Path) -> None:
    (project / "json.py").write_text("")  # shadows the standard library's
    assert "json.py" in files(project, "python", "-m", "steps.train")


def test_a_damaged_memory_is_made_anew(project: Path) -> None:
    (project / "memory.json").write_text("{")
    assert files(project, "python", "-m", "steps.other") == {"steps/__init__.py", "steps/other.py"}


def test_a_syntax_error_is_left_to_the_step(project: Path) -> None:
    (project / "steps/other.py").write_text("def (")
    assert "steps/other.py" in files(project, "python", "-m", "steps.other")


def test_a_word_too_long_for_a_file_name_is_only_a_word(project: Path) -> None:
    assert files(project, "python", "-c", "x" * 5000) == set()
