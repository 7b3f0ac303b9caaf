"""The train step: one model whatever happens to its process, and bad input in a sentence."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components import contract, train
from components.serving.operations import Model as Served
from tests.prepared import write_digits
from training.errors import InputError
from training.loop import Point

ROOT = Path(__file__).parents[2]
CONFIG = {
    "steps": 1200, "hidden": 32, "latent": 4, "beta": 1, "schedule": "cosine", "clip": 50,
    "checkpoint_seconds": 0.05, "dropout": 0.1,
}  # fmt: skip


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_digits(tmp_path_factory.mktemp("data") / "digits")


def command(digits: Path, model: Path, config: dict[str, Any] | None = None) -> list[str]:
    return [
        "--dataset", str(digits), "--recipe", "vae", "--seed", "3", "--model", str(model),
        "--config", json.dumps(CONFIG if config is None else config),
    ]  # fmt: skip


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
            time.sleep(0.001)
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
    for _ in range(3):
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


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (["--recipe", "vea"], "there is no recipe 'vea'; did you mean vae"),
        (["--config", "{"], "--config is not JSON"),
        (["--config", "[]"], r"--config is \[\], not an object"),
        (["--config", '{"step": 5}'], "no setting 'step'; did you mean steps"),
        (["--config", '{"steps": "x"}'], "it must be a whole number"),
        (["--seed", "-1"], "the seed is -1"),
        (["--seed", "1.5"], "invalid int value"),
        (["--dataset", "/nowhere"], "/nowhere is no prepared data set"),
        (["--sede", "1"], "unrecognized arguments"),
    ],
)
def test_bad_input_is_one_sentence(
    digits: Path, tmp_path: Path, change: list[str], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence) as error:
        train.main([*command(digits, tmp_path / "model", {}), *change])
    assert "\n" not in str(error.value)
    assert not (tmp_path / "model").exists()


def test_a_wrong_setting_is_refused_before_torch_is_loaded(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from components import contract, train\n"
        "sys.argv[1:] = ['--dataset', 'd', '--model', 'm', '--config', '{\"lrr\": 1}']\n"
        "try: contract.run(train.main)\n"
        "finally: print('torch' in sys.modules)\n"
    )
    failure = tmp_path / "failure"
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "TREFOIL_FAILURE": str(failure)},
    )  # fmt: skip
    assert (run.returncode, run.stdout) == (contract.BAD_INPUT, "False\n")
    told = json.loads(failure.read_text())
    assert told["message"] == "the recipe vae has no setting 'lrr'; did you mean lr?"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"modality": "text", "name": "plays"},
            "the recipe vae is for image data, and plays is text; there is none for text yet",
        ),
        (
            {"splits": {"train": {"rows": 7}, "test": {"rows": 2}}},
            "digits has 7 training and 2 held-out images, and a model is judged by 6 of each at "
            "least; give more data",
        ),
        ({"splits": {}}, "schema.json lacks what prepare writes ('train'); prepare anew"),
        ({"format": 2}, "schema.json is not of format 1, the one known here; prepare anew"),
    ],
)
def test_data_that_the_recipe_cannot_use_is_refused_before_a_step_is_done(
    digits: Path, tmp_path: Path, change: dict[str, object], sentence: str
) -> None:
    """Else an hour of training ends in a judge that has too little to judge by."""
    described = json.loads((digits / "schema.json").read_text())
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "schema.json").write_text(json.dumps({**described, **change}))
    with pytest.raises(InputError) as refused:  # nothing else is there to be read
        train.main(command(tmp_path / "data", tmp_path / "model", {}))
    assert str(refused.value).endswith(sentence)
    assert not (tmp_path / "model").exists()


# Progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def wait(seconds: float) -> None:
        now[0] += seconds

    return wait


def test_progress_is_a_line_a_second_at_most(
    clock: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    progress = train.Progress(2000)
    for step in range(50, 1051, 50):
        clock(0.25)
        progress.show(Point(step, "train", {"loss": 81.46801, "kl": 20.6, "lr": 1e-3}))
        if step == 500:
            progress.show(Point(step, "validation", {"bits_per_dim": 2.0123}))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "step  200/2000  loss 81.47  kl 20.6  200 steps/s  9.0 s left"
    assert lines[3].startswith("step  800/2000  loss 81.47  kl 20.6  validation 2.012  200 steps/s")
    assert len(lines) == 5


def test_a_resumed_run_counts_its_own_steps_alone(
    clock: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    progress = train.Progress(10_000)
    for step in (9000, 9100):
        clock(1.0)
        progress.show(Point(step, "train", {"loss": 1.0}))
    assert capsys.readouterr().err.splitlines() == [
        "step  9000/10000  loss 1",
        "step  9100/10000  loss 1  100 steps/s  9.0 s left",
    ]


@pytest.mark.parametrize(
    ("seconds", "words"), [(5.84, "5.8 s"), (61, "1 min 1 s"), (7260, "2 h 1 min")]
)
def test_durations_are_for_people(seconds: float, words: str) -> None:
    assert train._duration(seconds) == words
