"""A new place is one folder: nothing else is edited for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from infra import provider as providers
from infra.errors import InputError, UnsupportedError

ROOT = Path(__file__).parent.parent.parent
SERVING = [name for name in providers.names() if (ROOT / "infra" / name / "endpoint.py").exists()]
TOY = {
    "__init__.py": """
from typing import NamedTuple
from infra.provider import Provider

class ToySettings(NamedTuple):
    workspace: str = ".trefoil"
    colour: str = "red"

PROVIDER = Provider("toy", "a place for a test", ToySettings, {"spot": "toys are not rented"})
""",
    "endpoint.py": """
def check(workspace, name, canary, environment):
    print("toy is asked about", name, "on", environment["ground"])
""",
    "lower.py": """
from infra.plan import Request

def lower(plan, settings, run_id):
    body = {"steps": [step.name for step in plan.steps], "colour": settings.colour}
    return Request("toy", run_id, plan, body)

def price(plan, settings):
    return 12.5

def ground(settings):
    return {"ground": settings.colour}
""",
    "client.py": """
from infra.plan import Event, RunRef, Status

def submit(request, settings, context):
    for step in request.plan.steps:
        print("toy runs", step.name)
    return RunRef("toy", request.run_id)

def follow(run, settings):
    yield Event("", "succeeded", 1.0)

def status(run, settings):
    return Status(run, "succeeded", {})

def logs(run, settings, step, follow):
    return iter(())

def outputs(run, settings):
    return {}
""",
}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our rooms, and one more folder in infra."""
    place = tmp_path_factory.mktemp("checkout")
    for room in ("pipelines", "components", "training", "infra"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / room, place / room, ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", place)
    shutil.copytree(ROOT / "data", place / "data")
    (place / "infra" / "toy").mkdir()
    for name, text in TOY.items():
        (place / "infra" / "toy" / name).write_text(text)
    return place


def run(
    checkout: Path, *words: str, at: str = "toy", **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipelines.run", "--provider", at, *words],
        cwd=checkout, env={**os.environ, **environment}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


def test_it_is_found_lowered_and_run(checkout: Path) -> None:
    printed = run(checkout, "--dry-run", TREFOIL_COLOUR="blue")
    assert '"colour": "blue"' in printed.stdout, printed.stderr
    done = run(checkout)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("toy is asked about digits-vae")
    assert "toy runs train" in done.stdout


def test_what_cannot_be_deployed_is_refused_before_anything_runs(
    checkout: Path, tmp_path: Path
) -> None:
    """Else the sentence comes after hours of training."""
    copy = tmp_path / "checkout"
    shutil.copytree(checkout, copy)
    (copy / "infra" / "toy" / "endpoint.py").unlink()
    done = run(copy)
    assert done.returncode == 2
    assert "toy serves nothing: it has no endpoints" in done.stderr
    assert "toy runs" not in done.stdout
    done = run(copy, "--step", "evaluate")
    assert (done.returncode, "toy runs evaluate" in done.stdout) == (0, True)


def test_its_settings_in_the_environment_do_not_bar_the_way_to_another_place(
    checkout: Path,
) -> None:
    """Who works with two clouds has the variables of both set, all day."""
    done = run(checkout, "--dry-run", at="local", TREFOIL_COLOUR="blue")
    assert done.returncode == 0, done.stderr
    assert "blue" not in done.stdout
    done = run(checkout, "--dry-run", at="local", TREFOIL_COLOR="blue")
    assert done.returncode == 2
    assert "TREFOIL_COLOR: there is no setting color; did you mean colour?" in done.stderr


def test_its_settings_can_be_given_by_flag(checkout: Path) -> None:
    printed = run(checkout, "--dry-run", "--set", "colour=green", TREFOIL_COLOUR="blue")
    assert '"colour": "green"' in printed.stdout, printed.stderr
    done = run(checkout, "--dry-run", "--set", "colour=green", at="local")
    assert done.returncode == 2
    assert "local: there is no setting colour" in done.stderr


def test_what_it_lacks_is_refused_with_its_reason(checkout: Path) -> None:
    done = run(checkout, "--spot")
    assert done.returncode == 2
    assert "step train asks for spot, and toy cannot: toys are not rented" in done.stderr


def test_its_price_is_held_against_the_limit(checkout: Path) -> None:
    done = run(checkout, "--max-cost", "10")
    assert done.returncode == 2
    assert "may cost up to $12.50, and --max-cost is $10.00" in done.stderr


def test_an_unknown_place_is_named_beside_the_nearest() -> None:
    with pytest.raises(InputError, match=r"no provider lcal; did you mean local"):
        providers.get("lcal")


def test_a_place_that_serves_is_asked_through_its_own_module() -> None:
    """Verbs and the deploy step reach every place by this one way."""
    assert providers.get("local").endpoint().__name__ == "infra.local.endpoint"


def test_a_place_that_serves_nothing_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a person would see a traceback, after the run has paid for everything else."""
    monkeypatch.setitem(sys.modules, "infra.local.endpoint", None)
    with pytest.raises(UnsupportedError, match="local serves nothing: it has no endpoints"):
        providers.get("local").endpoint()


def test_a_missing_library_is_not_taken_for_a_missing_endpoint(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who has to install an extra must not be told that the place cannot serve."""

    def missing(_name: str) -> None:
        raise ModuleNotFoundError("no boto3", name="boto3")

    monkeypatch.setattr("importlib.import_module", missing)
    with pytest.raises(ModuleNotFoundError, match="boto3"):
        providers.Provider("toy", "a place for a test", tuple, {}).endpoint()


@pytest.mark.parametrize("name", SERVING)
def test_every_place_has_every_verb_of_endpoints(name: str) -> None:
    """A verb that is missing in one place would end in a traceback there."""
    module = providers.get(name).endpoint()
    for verb in ("check", "deploy", "rollback", "stop", "endpoints"):
        assert callable(getattr(module, verb))
