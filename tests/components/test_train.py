"""train as a step: killed and terminated it goes on, and what it writes is the same to the byte."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from components import contract, train
from components.serving.operations import Model as Served
from tests.trained import (
    CONFIG,
    ROOT,
    command,
    made_digits,  # noqa: F401  a fixture works by being here
)


class Attempt:
    """The step in a process of its own, as a provider starts it."""

    def __init__(self, digits: Path, place: Path) -> None:
        self.kept, self.model = place / "kept", place / "model"
        environment = {"TREFOIL_CHECKPOINTS": str(self.kept), "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "components.train", *command(digits, self.model)],
            env={**os.environ, **environment}, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def end(self) -> tuple[int, str]:
        """Its exit code and what it said."""
        said = self._process.communicate(timeout=120)[1]
        return self._process.returncode, said

    def after_checkpoint(self, number: int, signum: signal.Signals) -> tuple[int, str]:
        """Send it a signal once it has written so many more checkpoints."""
        before = set(self._checkpoints())
        while len(seen := set(self._checkpoints()) - before) < number:
            assert self._process.poll() is None, self.end()
            before -= {min(seen)} if len(seen) > 2 else set()
            time.sleep(0.002)
        self._process.send_signal(signum)
        return self.end()

    def _checkpoints(self) -> list[Path]:
        return sorted(self.kept.glob("*.pt"))


def content(model: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(model.iterdir())}


@pytest.fixture(scope="module")
def whole(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a run that nothing befell."""
    attempt = Attempt(digits, tmp_path_factory.mktemp("whole"))
    code, said = attempt.end()
    assert code == contract.DONE, said
    return content(attempt.model)


def finished(digits: Path, place: Path) -> tuple[dict[str, bytes], str]:
    attempt = Attempt(digits, place)
    code, said = attempt.end()
    assert code == contract.DONE, said
    return content(attempt.model), said


def test_a_model_is_all_that_evaluate_and_serve_need(
    whole: dict[str, bytes], tmp_path: Path
) -> None:
    for name, raw in whole.items():
        (tmp_path / name).write_bytes(raw)
    served = Served(tmp_path)
    served.warm_up()
    assert set(served.operations) == {"sample", "reconstruct", "score"}
    history = json.loads(whole["history.json"])
    assert history["validation"]["bits_per_dim"][-1] < history["validation"]["bits_per_dim"][0]
    assert json.loads(whole["config.json"])["seed"] == 3


def test_terminated_it_saves_and_goes_on_in_the_same_bits(
    digits: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    steps = []
    for _ in range(2):
        code, said = Attempt(digits, tmp_path).after_checkpoint(1, signal.SIGTERM)
        assert code == contract.TERMINATED, said
        stopped = re.search(r"stopped on request: at step (\d+), saved", said)
        assert stopped, said
        steps.append(int(stopped[1]))
        assert not (tmp_path / "model").exists()
    assert 0 < steps[0] < steps[1]
    files, said = finished(digits, tmp_path)
    assert f"(resumed at step {steps[1]})" in said
    assert files == whole


def test_killed_at_any_moment_it_goes_on_in_the_same_bits(
    digits: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    for _ in range(2):
        code, said = Attempt(digits, tmp_path).after_checkpoint(1, signal.SIGKILL)
        assert code == -signal.SIGKILL, said
        assert not (tmp_path / "model").exists()
    files, said = finished(digits, tmp_path)
    assert "resumed at step" in said
    assert files == whole


def test_after_a_damaged_checkpoint_the_one_before_serves(
    digits: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    Attempt(digits, tmp_path).after_checkpoint(2, signal.SIGKILL)
    older, newer = sorted((tmp_path / "kept").glob("*.pt"))
    raw = newer.read_bytes()
    newer.write_bytes(raw[: len(raw) // 2])
    files, said = finished(digits, tmp_path)
    assert f"the checkpoint {newer} is damaged" in said
    assert f"resumed at step {int(older.name.partition('-')[0])})" in said
    assert files == whole


def test_with_no_place_for_checkpoints_it_trains_all_the_same(
    digits: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    train.main(command(digits, tmp_path / "model"))
    assert content(tmp_path / "model") == whole


def test_a_checkpoint_of_another_configuration_is_told_and_not_used(
    digits: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TREFOIL_CHECKPOINTS", str(tmp_path / "kept"))
    short = {**CONFIG, "steps": 40, "checkpoint_seconds": 0}
    train.main(command(digits, tmp_path / "one", short))
    assert "another" not in capsys.readouterr().err
    train.main(command(digits, tmp_path / "two", {**short, "lr": 2e-3}))
    assert "are of another configuration, seed or data; training begins anew" in (
        capsys.readouterr().err
    )
    train.main(command(digits, tmp_path / "three", {**short, "checkpoint_seconds": 9}))
    assert "(resumed at step 39)" in capsys.readouterr().err  # how often is no other configuration
    assert (
        content(tmp_path / "one")["model.safetensors"]
        == (content(tmp_path / "three")["model.safetensors"])
    )


def test_it_tells_the_tracker(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TREFOIL_TRACKING", str(tmp_path / "spool"))
    monkeypatch.setenv("TREFOIL_STEP", "train")
    train.main(command(digits, tmp_path / "model", {"steps": 100, "beta": 2, "hidden": 8}))
    told = (tmp_path / "spool/train.jsonl").read_text().splitlines()
    lines = [json.loads(line) for line in told]
    params = next(line["params"] for line in lines if "params" in line)
    assert (params["recipe"], params["seed"], params["beta"]) == ("vae", "3", "2.0")
    assert next(line["dataset"]["name"] for line in lines if "dataset" in line) == "digits"
    points = [point for line in lines for point in line.get("metrics", [])]
    train_points = {step: n for _, step, n in points if "train/loss" in n}
    assert sorted(train_points) == [50, 100]
    assert {"train/reconstruction", "train/kl", "train/bits_per_dim", "train/lr"} <= (
        train_points[50].keys()
    )
    assert any("validation/bits_per_dim" in numbers for _, _, numbers in points)
    assert any(line.get("close") == "succeeded" for line in lines)
