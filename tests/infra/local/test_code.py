"""A step runs again exactly when code that it could reach has changed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from infra.local.code import Sources

ROOT = Path(__file__).parents[3]
STEPS = ("prepare", "train", "evaluate")

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
    "plugins/load.py": "",
    "plugins/vae.py": "",
    "plugins/table.toml": "",
    "plugins/models/__init__.py": "",
    "plugins/models/gan.py": "import science.late\n",
    "plugins/models/deep/net.py": "",
    "plugins/models/weights.bin": "",
    "scripts/tool.py": "import helper\n",
    "scripts/helper.py": "",
    "weights.bin": "w",
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
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


@pytest.mark.parametrize(
    "source",
    [
        "import importlib\nimportlib.import_module(name)\n",
        "import importlib\nimportlib.import_module('plug' + name)\n",
        "import importlib\nimportlib.import_module(f'{package}.models.{name}')\n",
        "import importlib\nimportlib.import_module('.' + name, 'plugins.models')\n",
        "import importlib\nimportlib.import_module('plugins.models.' + name, package)\n",
        "import importlib\nimportlib.import_module(name='plugins.models.gan')\n",
        "import importlib\nload = importlib.import_module\n",
        "import importlib\nload = getattr(importlib, 'import_module')\n",
        "from importlib import import_module as load\n",
        "from importlib import import_module\nlist(map(import_module, names))\n",
        "import importlib as i\ni.import_module(f'plugins.models.{i.import_module(x)}')\n",
        "__import__('plugins.models.' + name, fromlist=['x'])\n",
        "import importlib\nif not TYPE_CHECKING:\n    importlib.import_module(name)\n",
    ],
)
def test_an_import_by_any_name_means_the_whole_top_package(project: Path, source: str) -> None:
    """Which plugin is loaded cannot be read from the source: its data files count too."""
    (project / "plugins/load.py").write_text(source)
    found = files(project, "python3", "-m", "plugins.load")
    assert found == {name for name in FILES if name.startswith("plugins/")} | {
        "science/__init__.py", "science/late.py",
    }  # fmt: skip


@pytest.mark.parametrize(
    "source",
    [
        "import importlib\nimportlib.import_module(f'plugins.models.{name}')\n",
        "import importlib\nimportlib.import_module('plugins.models.' + name)\n",
        "import importlib\nimportlib.import_module(f'plugins.models.d{a}' + b)\n",
        "from importlib import import_module\nimport_module('plugins.models.' + a + b)\n",
        "__import__(f'plugins.models.{name}')\n",
    ],
)
def test_an_import_by_name_from_a_package_means_that_package(project: Path, source: str) -> None:
    """A changed metric must not train every model anew; a changed model must."""
    (project / "plugins/load.py").write_text(source)
    assert files(project, "python3", "-m", "plugins.load") == {
        "plugins/__init__.py", "plugins/table.toml", "plugins/load.py",
        "plugins/models/__init__.py", "plugins/models/gan.py", "plugins/models/deep/net.py",
        "plugins/models/weights.bin", "science/__init__.py", "science/late.py",
    }  # fmt: skip


def test_an_import_by_a_name_that_is_all_there_is_an_import(project: Path) -> None:
    (project / "steps/other.py").write_text("__import__('science.loop')\n")
    found = files(project, "python3", "-m", "steps.other")
    assert {"science/loop.py", "science/late.py"} <= found
    assert "science/unused.py" not in found


def test_what_only_a_type_checker_imports_does_not_count(project: Path) -> None:
    """It never runs in the step."""
    guard = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import science.unused\n"
    (project / "steps/other.py").write_text(f"{guard}else:\n    import science.late\n")
    found = files(project, "python3", "-m", "steps.other")
    assert "science/late.py" in found
    assert "science/unused.py" not in found


def test_a_memory_made_by_other_rules_is_read_anew(project: Path) -> None:
    """An upgrade must neither fail at an old workspace nor believe what it says."""
    stat = (project / "steps/other.py").stat()
    old = {
        "stat": [stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino],
        "digest": "old", "imports": [], "dynamic": True,
    }  # fmt: skip
    (project / "memory.json").write_text(json.dumps({str(project / "steps/other.py"): old}))
    found = Sources(project, project / "memory.json").of(["python", "-m", "steps.other"])
    assert set(found) == {"steps/__init__.py", "steps/other.py"}
    assert "old" not in found.values()


def test_our_own_training_depends_on_models_and_not_on_metrics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hours of training must not be repeated for a figure, nor kept for another model."""
    for room in ("components", "infra", "training"):
        shutil.copytree(ROOT / room, tmp_path / room)
    monkeypatch.chdir(tmp_path)
    sources = Sources(tmp_path, tmp_path / "memory.json")

    def edited(name: str) -> set[str]:
        before = {step: sources.of(["python", "-m", f"components.{step}"]) for step in STEPS}
        with (tmp_path / name).open("a") as file:
            file.write("# another thought\n")
        return {s for s in STEPS if sources.of(["python", "-m", f"components.{s}"]) != before[s]}

    assert edited("training/models/vae.py") == {"train", "evaluate"}
    of_drift = {"drift.py", "shifts.py"}
    for file in (tmp_path / "training" / "metrics").glob("*.py"):
        expected = set() if file.name in of_drift else {"evaluate"}
        assert edited(f"training/metrics/{file.name}") == expected, file.name
    assert edited("training/sources/folder.py") == {"prepare"}
    assert edited("training/loop.py") == {"train", "evaluate"}


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


@pytest.mark.parametrize("damage", ["{", "[]", "null", '{"FILE": 3}', '{"FILE": {"stat": []}}'])
def test_a_damaged_memory_is_made_anew(project: Path, damage: str) -> None:
    """It only spares work: no run may end for it."""
    text = damage.replace("FILE", str(project / "steps/other.py"))
    (project / "memory.json").write_text(text)
    assert files(project, "python", "-m", "steps.other") == {"steps/__init__.py", "steps/other.py"}


def test_a_syntax_error_is_left_to_the_step(project: Path) -> None:
    (project / "steps/other.py").write_text("def (")
    assert "steps/other.py" in files(project, "python", "-m", "steps.other")


def test_a_word_too_long_for_a_file_name_is_only_a_word(project: Path) -> None:
    assert files(project, "python", "-c", "x" * 5000) == set()
