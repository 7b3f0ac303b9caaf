"""What the README says is true: its commands run, in order, as they stand there.

Lines that begin with ``$`` in a ``console`` block are run in a fresh workspace, as CI and a new
person's machine would; other blocks are for reading. Then its verbs, its curl and its links.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from components import contract
from components.serving.calls import _TAKES
from infra import provider as providers
from infra.local import LocalSettings
from pipelines.settings import OF_A_STEP as NAMES
from pipelines.settings import Settings

pytestmark = pytest.mark.xdist_group("readme")

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONSOLE = re.findall(r"^```console\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
COMMANDS = re.findall(r"^\$ (.+)$", "\n".join(CONSOLE), re.MULTILINE)
TABLED = re.findall(r"^\| (`python -m .*?) \|", README, re.MULTILINE)
LINKS = re.findall(r"\]\((?!https?:)([^)#]+)", README)
OF_A_STEP = {f"TREFOIL_{name}" for name in NAMES}
LOOKING = {"why", "status", "list", "report", "endpoints", "plan", "doctor"}
"""Verbs of the README that change nothing, so that they can be asked after a run."""


class Ground(NamedTuple):
    """A workspace in which the README's commands ran."""

    environment: dict[str, str]

    def sh(self, command: str) -> str:
        """Run it as a person would who has activated ``.venv``."""
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"$ {command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        return done.stdout


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """Every command of a console block, run in order; what it serves is stopped at the end."""
    if not shutil.which("make"):
        pytest.skip("make is not installed")
    kept = {
        name: value
        for name, value in os.environ.items()
        if name != "ARGS" and not name.startswith(("TREFOIL_", "MLFLOW_", "PYTEST_", "MAKE"))
    }
    found = Ground(
        {
            **kept,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "TREFOIL_WORKSPACE": str(tmp_path_factory.mktemp("readme") / "workspace"),
        }
    )
    try:
        for command in COMMANDS:
            found.sh(command)
        yield found
    finally:
        for each in _served(found):
            found.sh(f"python -m pipelines stop {each['name']}")


def _served(ground: Ground) -> list[dict[str, str]]:
    answer: list[dict[str, str]] = json.loads(ground.sh("python -m pipelines endpoints --json"))
    return answer


def test_there_are_commands_to_run() -> None:
    """A README whose blocks were renamed would otherwise pass by saying nothing."""
    assert "make run" in COMMANDS
    assert len(TABLED) > 5


def test_what_it_serves_answers_the_readmes_curl_with_a_picture(ground: Ground) -> None:
    """The first thing that a new person does with the model."""
    (line,) = re.findall(r"^curl .*$", README, re.MULTILINE)
    words = shlex.split(line)
    header, _, value = words[words.index("-H") + 1].partition(": ")
    (served,) = _served(ground)
    path = re.sub(r"^http://[^/]+", "", words[1])
    answer = httpx.post(
        served["url"] + path, content=words[words.index("-d") + 1], headers={header: value}
    )
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/png"
    assert answer.content.startswith(b"\x89PNG")


def test_what_an_operation_takes_is_what_the_readme_says() -> None:
    """Whoever writes a client reads no other list of the fields."""
    rows = re.findall(r"^\| `/(\w+)` \| (.*?) \|", README, re.MULTILINE)
    said = {name: set(re.findall(r"`(\w+)`", fields)) for name, fields in rows}
    assert said == {name: takes - {"operation", "scale"} for name, takes in _TAKES.items()}


@pytest.mark.parametrize("row", TABLED)
def test_a_command_of_the_table_is_there(row: str, ground: Ground) -> None:
    """Those that only look are run after the run; of the others the help is asked."""
    module, group = "", list[str]()
    for command in re.findall(r"`(.*?)`", row):
        words = command.split()
        if words[0] == "python":
            module, words = words[2], words[3:]
            group = words[:1] if words[:1] == ["data"] else []
        else:  # `data add`, `verify`: the second belongs to data too
            words = [*group, *words]
        if words[0] in LOOKING or "--dry-run" in words:
            assert ground.sh(f"python -m {module} {' '.join(words)}")
            continue
        verbs = [word for word in words if not word.startswith("-") and not word.isupper()]
        usage = ground.sh(f"python -m {module} {' '.join(verbs)} --help")
        assert all(word in usage for word in words if word.startswith("-"))


@pytest.mark.parametrize("link", LINKS)
def test_a_link_leads_somewhere(link: str) -> None:
    """A picture or a page that was moved leaves a hole in the README."""
    assert (ROOT / link).exists()


def variables(*settings: type) -> set[str]:
    """The environment variables that settings are read from."""
    return {f"TREFOIL_{name.upper()}" for each in settings for name in each.__annotations__}


def test_a_variable_it_names_is_a_setting_or_of_the_contract() -> None:
    """A setting that is told of and not read is a lie that nobody sees."""
    places = [providers.get(name).settings for name in providers.names()]
    known = variables(Settings, *places) | OF_A_STEP
    assert set(re.findall(r"TREFOIL_\w+", README)) <= known


def test_every_setting_of_this_machine_is_in_its_table_with_its_default() -> None:
    """What a newcomer cannot find is not there."""
    rows = re.findall(r"^\| `(\w+)` \| `(TREFOIL_\w+)` \| `?([^|`]+?)`? \|", README, re.MULTILINE)
    assert {variable for _, variable, _ in rows} == variables(Settings, LocalSettings)
    defaults = {**Settings()._asdict(), **LocalSettings()._asdict()}
    for name, variable, default in rows:
        assert variable == f"TREFOIL_{name.upper()}"
        assert defaults[name] == "" or str(defaults[name]).removesuffix(".0") == default, name


def test_the_contract_of_a_step_names_the_variables_that_are_no_settings() -> None:
    """A variable that a step is given must not end the pipeline that is started inside it."""
    assert contract.__doc__ is not None
    assert set(re.findall(r"^    (TREFOIL_\w+) ", contract.__doc__, re.MULTILINE)) == OF_A_STEP
