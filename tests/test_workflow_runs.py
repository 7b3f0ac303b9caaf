"""What the workflows run, run: every ``run:`` with a recorded event, as GitHub would start it.

GitHub itself is not here: its expressions are filled in by the few lines below, and the steps that
are actions of others (``uses:``) are left out.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

pytestmark = [pytest.mark.xdist_group("workflow-runs"), pytest.mark.timeout(900)]

ROOT = Path(__file__).parent.parent
WORKFLOWS = ROOT / ".github" / "workflows"
EVENTS = ROOT / "tests" / "events"
NOT_HERE = {
    "make setup": "it makes .venv: the one that the tests run in takes its place",
    "tests/live/kind.sh": "it makes a real cluster",
    'sudo env "PATH=$PATH" .ci/run': "it runs these very tests",
}
"""What is not run by a test, and why."""
TINY = (
    "--set tracking_uri=none\n--param steps=30 --param hidden=16 --param promote=never --param "
    'gate={"bits_per_dim":null,"fd":null,"active_units":null}'
)
"""As somebody types them who breaks lines. Few steps make no model that any limit lets pass."""
OTHER = "0123456789abcdef0123456789abcdef"
AWS = {
    "region": "eu-west-1", "bucket": "a-bucket",
    "pipeline_role_arn": "arn:aws:iam::123456789012:role/p",
    "training_role_arn": "arn:aws:iam::123456789012:role/t",
}  # fmt: skip


def runs(name: str) -> list[tuple[str, dict[str, str]]]:
    """Each ``run:`` of a workflow, with the environment that the workflow gives it."""
    document = yaml.safe_load((WORKFLOWS / name).read_text(encoding="utf-8"))
    return [
        (step["run"].strip(), {**job.get("env", {}), **step.get("env", {})})
        for job in document["jobs"].values()
        for step in job["steps"]
        if "run" in step
    ]


def filled(text: str, contexts: Mapping[str, Mapping[str, str]]) -> str:
    """A value with its expressions filled in: ``vars.A`` and ``vars.A || 'otherwise'``."""

    def value(found: re.Match[str]) -> str:
        for part in found[1].split("||"):
            word = part.strip()
            context, _, name = word.partition(".")
            told = word[1:-1] if word.startswith("'") else contexts[context].get(name, "")
            if told:
                return told
        return ""

    return re.sub(r"\$\{\{(.*?)\}\}", value, text)


class Ground(NamedTuple):
    """A checkout of its own, that a runner of GitHub's would have made, and its workspace."""

    checkout: Path
    temporary: Path
    before: str
    after: str

    @property
    def workspace(self) -> Path:
        return self.checkout / ".trefoil"

    def start(
        self, workflow: str, event: Path, run_id: str, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Start what a workflow runs, step by step, until one fails."""
        told = json.loads(event.read_text())
        contexts = {"vars": variables, "secrets": {}, "inputs": told.get("inputs") or {}}
        done = None
        for script, env in runs(workflow):
            if script in NOT_HERE:
                continue
            file = self.temporary / "step.sh"
            file.write_text(script)
            done = subprocess.run(
                ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(file)],
                cwd=self.checkout, capture_output=True, text=True, check=False,
                env={
                    "PATH": "/usr/bin:/bin", "HOME": os.environ.get("HOME", "/"), "CI": "true",
                    "GITHUB_ACTIONS": "true", "GITHUB_EVENT_PATH": str(event),
                    "GITHUB_RUN_ID": run_id, "RUNNER_TEMP": str(self.temporary),
                    "XDG_CACHE_HOME": str(self.temporary / "cache"),
                    **{name: filled(str(value), contexts) for name, value in env.items()},
                },
            )  # fmt: skip
            if done.returncode:
                return done
        assert done is not None
        return done

    def retrain(self, event: str, run_id: str = "1", flags: str = TINY, **more: Any) -> Any:
        """The document that the workflow keeps, once it ended well."""
        file = self.event(event, **more.pop("changed", {}))
        done = self.start("retrain.yml", file, run_id, TREFOIL_FLAGS=flags, **more)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads((self.temporary / "retrain.json").read_text())

    def event(self, name: str, **changed: object) -> Path:
        file = self.temporary / "event.json"
        file.write_text(
            json.dumps({**json.loads((EVENTS / f"{name}.json").read_text()), **changed})
        )
        return file

    def registered(self) -> tuple[list[str], dict[str, str]]:
        """The versions of the digits' model, and its aliases, as MLflow's database has them."""
        file = self.workspace / "mlflow" / "mlflow.db"
        with contextlib.closing(sqlite3.connect(file)) as database:
            versions = database.execute("select name, version from model_versions").fetchall()
            aliases = database.execute("select alias, version from registered_model_aliases")
            return [f"{name} {version}" for name, version in versions], {
                alias: str(version) for alias, version in aliases
            }


@pytest.fixture(scope="module", name="ground")
def made_ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    """This code, committed twice: the digits were pinned by another MD5 before."""
    place = tmp_path_factory.mktemp("runner")
    checkout, temporary = place / "checkout", place / "temporary"
    temporary.mkdir()
    ignored = shutil.ignore_patterns("__pycache__", "*.gz", "cache", "tmp", "golden")
    for name in ("pipelines", "components", "infra", "training", "data", ".dvc"):
        shutil.copytree(ROOT / name, checkout / name, ignore=ignored)
    for name in ("pyproject.toml", "requirements.lock", ".gitignore"):
        shutil.copyfile(ROOT / name, checkout / name)
    (checkout / ".venv").symlink_to(Path(sys.executable).parent.parent)
    pin = checkout / "data" / "digits.csv.gz.dvc"
    text = pin.read_text()
    pin.write_text(re.sub(r"[0-9a-f]{32}", OTHER, text))
    before = _committed(checkout)
    pin.write_text(text)
    return Ground(checkout, temporary, before, _committed(checkout))


def _committed(checkout: Path) -> str:
    own = ["-c", "user.name=t", "-c", "user.email=t@example", "-c", "commit.gpgsign=false"]
    new = [] if (checkout / ".git").exists() else [["init", "-q", "-b", "main"]]
    for words in (*new, ["add", "-A"], ["commit", "-q", "-m", "change"]):
        subprocess.run(["git", *own, *words], cwd=checkout, check=True)
    done = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=checkout, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_whatever_a_workflow_runs_is_run_here_or_left_out_for_a_reason() -> None:
    """A step that is added and that nobody ever ran is found broken on the main branch."""
    run_here = {"retrain.yml", "promote.yml"}
    for file in WORKFLOWS.glob("*.yml"):
        for script, _ in runs(file.name):
            assert file.name in run_here or script in NOT_HERE, (file.name, script)


def test_a_push_a_schedule_and_a_person_one_after_the_other(ground: Ground) -> None:
    """The life of a model: trained because its data changed, left alone, promoted by a person."""
    pushed = {"before": ground.before, "after": ground.after}
    first = ground.retrain("push", changed=pushed)
    assert (first["decision"], first["state"]) == ("retrain", "succeeded")
    assert f"data/digits.csv.gz.dvc changed from {OTHER} to 9b335364a7bfd639" in first["reason"]
    assert first["gate"]["passed"] is True
    assert first["model_version"] == "1"
    assert first["metrics"]["bits_per_dim"] > 0
    assert ground.registered() == (["digits-vae 1"], {"challenger": "1"})

    again = ground.retrain("push", changed=pushed)
    assert (again["run_id"], again["model_version"]) == (first["run_id"], "1")
    for event, run_id in (("schedule", "2"), ("push-forced", "3"), ("repository_dispatch", "4")):
        skipped = ground.retrain(event, run_id)
        assert (skipped["decision"], skipped["run_id"]) == ("skip", first["run_id"]), event
        assert f"nothing changed since {first['run_id']}" in skipped["reason"]
    branch = ground.retrain("push-to-branch")
    assert "it is a push to refs/heads/try-other-digits" in branch["reason"]
    assert [each.name for each in ground.workspace.glob("runs/*")] == [first["run_id"]]
    assert ground.registered() == (["digits-vae 1"], {"challenger": "1"})

    inputs = {"model_name": "digits-vae", "version": "1"}
    done = ground.start("promote.yml", ground.event("workflow_dispatch", inputs=inputs), "5")
    assert done.returncode == 0, done.stderr
    assert ground.registered() == (["digits-vae 1"], {"challenger": "1", "champion": "1"})


def test_a_dispatch_hands_in_the_recipes_settings(ground: Ground) -> None:
    """Inputs reach the run as values: no shell has them, and no other flag comes of them."""
    found = ground.retrain("workflow_dispatch", "7", "--dry-run")
    config = json.loads(found["request"]["plan"]["parameters"]["config"])
    assert config == {"steps": "12", "hidden": "16"}
    inputs = {"params": "$(touch pwned)", "data": "", "recipe": ""}
    event = ground.event("workflow_dispatch", inputs=inputs)
    done = ground.start("retrain.yml", event, "8", TREFOIL_FLAGS="--dry-run")
    assert done.returncode == 2
    assert "params of inputs of the event" in done.stderr
    assert not (ground.checkout / "pwned").exists()


@pytest.mark.parametrize(
    ("place", "settings"), [("aws", AWS), ("cheapest", {"aws": AWS, "gcp": {"project": "p"}})]
)
def test_a_run_in_a_cloud_takes_its_settings_from_the_variable(
    ground: Ground, place: str, settings: dict[str, Any]
) -> None:
    """Of one cloud as terraform tells them, and in a table for each where the cheapest is taken."""
    found = ground.retrain(
        "schedule", "9", "--dry-run --set image_tag=t",
        TREFOIL_PROVIDER=place, TREFOIL_SETTINGS=json.dumps(settings),
    )  # fmt: skip
    assert found["request"]["provider"] == "aws"
    assert found["request"]["bucket"] == "a-bucket"
    assert found["run_id"].endswith(found["event"])
