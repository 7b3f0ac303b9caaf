"""The rooms know only those below them, and looking costs no heavy import."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("pipelines", "components", "training", "infra")
ALLOWED = {
    "pipelines": {"infra", "components", "training"},
    "components": {"training"},
    "training": set[str](),
    "infra": set[str](),
}
WITH_INFRA = {
    "register.py", "deploy.py", "champion.py", "deliver.py", "delivery.py", "sink.py", "mlmodel.py",
    "fetch.py", "launch.py",
}  # fmt: skip
"""Files of components that act on the registry, the tracking server or an endpoint."""
REDACTION = "infra.redaction"
"""Of infra, what any component may use: there is one rule of what is a secret."""
AWS = [
    word
    for name in ("region", "bucket", "pipeline_role_arn", "training_role_arn")
    for word in ("--set", f"{name}=some")
]
"""An account, as the least that must be known of one."""
GCP = [
    word
    for name in ("project", "region", "bucket", "service_account")
    for word in ("--set", f"{name}=some")
]
"""The same of a project."""
AZURE = [
    word
    for name in ("subscription", "resource_group", "ml_workspace", "region", "storage_account",
                 "container", "datastore")
    for word in ("--set", f"{name}=some")
]  # fmt: skip
"""The same of a subscription."""
LOOKING = [
    ["-m", "pipelines.run", "--help"],
    ["-m", "pipelines", "--help"],
    ["-m", "pipelines", "plan"],
    ["-m", "pipelines", "plan", "--json"],
    ["-m", "pipelines.run", "--dry-run"],
    ["-m", "pipelines.run", "--dry-run", "--json"],
    ["-m", "pipelines.run", "--provider", "kind", "--dry-run"],
    ["-m", "pipelines", "plan", "--provider", "kind"],
    ["-m", "pipelines.run", "--provider", "aws", "--dry-run", *AWS],
    ["-m", "pipelines", "plan", "--provider", "aws", *AWS],
    ["-m", "pipelines.run", "--provider", "gcp", "--dry-run", *GCP],
    ["-m", "pipelines", "plan", "--provider", "gcp", *GCP],
    ["-m", "pipelines.run", "--provider", "azure", "--dry-run", *AZURE],
    ["-m", "pipelines", "plan", "--provider", "azure", *AZURE],
    ["-m", "pipelines", "retrain", "--event", "tests/events/repository_dispatch.json", "--dry-run"],
]
STANDARD = set(sys.stdlib_module_names) | set(sys.builtin_module_names)
OF_SITE = {"__main__", "_distutils_hack", "sitecustomize", "usercustomize"}
"""What an interpreter's own start may load."""
LIGHT = STANDARD | OF_SITE | set(ROOMS)


def imports(file: Path) -> Iterator[tuple[str, int]]:
    """Every module a file imports, inside functions too, but not what only types need."""
    for node in _running(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module, node.lineno


def _running(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _running(child)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_those_below_it(room: str) -> None:
    """A cycle between rooms is how a code base stops being readable."""
    wrong = []
    for file in (ROOT / room).rglob("*.py"):
        for module, line in imports(file):
            top = module.partition(".")[0]
            if top not in ROOMS or top == room or top in ALLOWED[room]:
                continue
            if room == "components" and (file.name in WITH_INFRA or module == REDACTION):
                continue
            wrong.append(f"{file.relative_to(ROOT)}:{line} imports {module}")
    assert not wrong, "\n".join(wrong)


def test_the_code_of_rehearsals_is_imported_by_rehearsals_alone() -> None:
    """What runs for real must not need, or know, what stands in for a cloud."""
    wrong = []
    for file in (ROOT / "infra").rglob("*.py"):
        folders = file.relative_to(ROOT / "infra").parts
        if "emulator" not in folders and folders[0] != "rehearsal":
            found = [name for name, _ in imports(file) if name.startswith("infra.rehearsal")]
            wrong += [f"{'/'.join(folders)} imports {name}" for name in found]
    assert not wrong, "\n".join(wrong)


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace that holds the compiled pipeline already."""
    workspace = tmp_path_factory.mktemp("warm")
    _loaded(["-m", "pipelines.run", "--dry-run"], workspace)
    return workspace


@pytest.mark.parametrize("command", LOOKING, ids=" ".join)
def test_looking_loads_the_standard_library_and_our_own_code_alone(
    command: list[str], warm: Path
) -> None:
    """An SDK imported at the start taxes every command of every user, every day."""
    assert _loaded(command, warm) <= LIGHT


def test_a_variable_for_another_place_loads_no_sdk(warm: Path) -> None:
    """To know that it is a setting, every place's own is looked at; none may cost its SDK."""
    command = ["-m", "pipelines.run", "--dry-run"]
    assert _loaded(command, warm, TREFOIL_NAMESPACE="kubeflow") <= LIGHT


def _loaded(command: list[str], workspace: Path, **environment: str) -> set[str]:
    """Top-level names of the modules that a command loads; ``python -X importtime`` tells them."""
    run = subprocess.run(
        [sys.executable, "-X", "importtime", *command],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "TREFOIL_WORKSPACE": str(workspace), **environment},
    )
    assert run.returncode == 0, run.stderr[-2000:]
    lines = [line for line in run.stderr.splitlines() if line.startswith("import time:")]
    names = {line.rpartition("|")[2].strip().partition(".")[0] for line in lines[1:]}
    return {name for name in names if not name.startswith(("__editable__", "_virtualenv"))}
