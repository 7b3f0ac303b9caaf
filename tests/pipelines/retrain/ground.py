"""A repository whose data sets are pinned, events that are about it, and a pipeline of a moment."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from pipelines import __main__ as verbs
from tests.pipelines.data.checkout import PIN
from tests.pipelines.one_step import ROOT, one_step

EVENTS = ROOT / "tests" / "events"
__all__ = ["EVENTS", "NONE", "ROOT", "Repository", "made_repository"]
NONE = "0" * 40
SCRIPT = (
    "import os, sys; os.path.exists({broken!r}) and sys.exit(1); open(sys.argv[1], 'w').close()"
)
PARAMETERS = {
    "data": "cats", "data_md5": "", "data_pin": "", "recipe": "vae", "config": "{}",
    "model_name": "cats-vae", "promote": "when-better",
}  # fmt: skip


class Done(NamedTuple):
    """What the command ended with: its code, its document, what it said."""

    code: int
    found: dict[str, Any]
    said: str


class Repository:
    """A checkout, with a workspace beside it."""

    def __init__(self, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.place, self.workspace = place, place.parent / "workspace"
        self._capsys = capsys
        self.broken = place.parent / "broken"
        self.pipeline = _pipeline(place.parent / "pipeline.yaml", self.broken)
        self.git("init", "-q", "-b", "main")

    def git(self, *words: str) -> str:
        own = ["-c", "user.name=t", "-c", "user.email=t@example", "-c", "commit.gpgsign=false"]
        done = subprocess.run(
            ["git", *own, *words], cwd=self.place, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def write(self, name: str, text: str) -> None:
        file = self.place / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def pin(self, name: str, text: str) -> str:
        """Data of that name, and its pin, as DVC writes it; the MD5."""
        md5 = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
        self.write(f"data/{name}", text)
        self.write(f"data/{name}.dvc", PIN.format(md5=md5, path=name))
        return md5

    def commit(self) -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "change")
        return self.git("rev-parse", "HEAD")

    def event(self, name: str, **changed: object) -> Path:
        """A recorded event, with other values."""
        told = json.loads((EVENTS / f"{name}.json").read_text())
        file = self.place.parent / f"{name}.json"
        file.write_text(json.dumps({**told, **changed}))
        return file

    def retrain(self, event: Path, *words: str) -> Done:
        self._capsys.readouterr()
        given = ["--event", str(event), "--pipeline", self.pipeline, "--json", *words]
        code = verbs.main(["retrain", *given])
        told = self._capsys.readouterr()
        return Done(code, json.loads(told.out), told.err)

    def push(self, before: str, after: str, *words: str, **changed: object) -> Done:
        return self.retrain(self.event("push", before=before, after=after, **changed), *words)

    def schedule(self, *words: str, due: str = "2026-11-30T04:17:00Z") -> Done:
        return self.retrain(self.event("schedule", time=due), *words)

    def runs(self) -> list[str]:
        return sorted(each.name for each in self.workspace.glob("runs/*"))

    def ledger(self) -> list[dict[str, Any]]:
        text = (self.workspace / "ledger.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines()]


def _pipeline(file: Path, broken: Path) -> str:
    """One step that does nothing, or fails, with parameters called as the real pipeline's."""
    one_step(file, SCRIPT.format(broken=str(broken)))
    document = yaml.safe_load(file.read_text())
    document["pipelineInfo"]["name"] = "generative"
    document["root"]["inputDefinitions"] = {
        "parameters": {
            name: {"defaultValue": value, "isOptional": True, "parameterType": "STRING"}
            for name, value in PARAMETERS.items()
        }
        | {"seed": {"defaultValue": 0, "isOptional": True, "parameterType": "NUMBER_INTEGER"}}
    }
    document["root"]["dag"]["tasks"]["first"]["cachingOptions"] = {}
    file.write_text(yaml.safe_dump(document))
    return str(file)


@pytest.fixture(name="repository")
def made_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Repository:
    """One with cats pinned, that the test is in."""
    place = tmp_path / "checkout"
    place.mkdir()
    monkeypatch.chdir(place)
    monkeypatch.setenv("TREFOIL_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TREFOIL_TRACKING_URI", "none")
    monkeypatch.delenv("GITHUB_RUN_ID", raising=False)
    made = Repository(place, capsys)
    made.write(".gitignore", "/data/*\n!/data/*.dvc\n")
    made.write("components/step.py", "1\n")
    made.write("docs/page.md", "1\n")
    made.pin("cats", "cats of October")
    return made
