"""Several processes train as one would, and leave what one would leave."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trained import (
    ROOT,
    command,
    made_digits,  # noqa: F401  a fixture works by being here
)
from training.errors import InputError
from training.parallel import Team, Together, normal_like

SETTINGS = {
    "steps": 150, "batch_size": 30, "hidden": 32, "latent": 4, "schedule": "plateau", "ema": 0.5,
    "clip": 50, "log_every": 10, "validate_every": 10, "checkpoint_seconds": 0,
}  # fmt: skip


class Process:
    """The step train as one of several, or alone."""

    def __init__(self, argv: list[str], place: Path, **environment: str) -> None:
        self.kept = place / "kept"
        own = {"TREFOIL_CHECKPOINTS": str(self.kept), "PYTHONPATH": str(ROOT)}
        self._popen = subprocess.Popen(
            argv, env={**os.environ, **own, **environment}, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def end(self) -> tuple[int, str]:
        """Its exit code and what it said."""
        said = self._popen.communicate(timeout=200)[1]
        return self._popen.returncode, said

    def terminate(self) -> None:
        """As a node does that is taken away."""
        self._popen.send_signal(signal.SIGTERM)


def alone(digits: Path, place: Path, **settings: Any) -> Process:
    step = ["-m", "components.train", *command(digits, place / "model", {**SETTINGS, **settings})]
    return Process([sys.executable, *step], place)


def pods(digits: Path, place: Path, count: int = 2) -> list[Process]:
    """As the pods of an Indexed Job, which see one folder."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    step = ["-m", "components.train", *command(digits, place / "model", SETTINGS)]
    return [
        Process(
            [sys.executable, *step], place, JOB_COMPLETION_INDEX=str(index), PET_NNODES=str(count),
            PET_MASTER_ADDR="127.0.0.1", PET_MASTER_PORT=str(port),
        )
        for index in range(count)
    ]  # fmt: skip


def curves(model: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((model / "history.json").read_text(encoding="utf-8"))
    return found


def files(model: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(model.iterdir())}


@pytest.fixture(scope="module")
def by_two(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes under torchrun leave."""
    place = tmp_path_factory.mktemp("two")
    step = ["-m", "components.train", *command(digits, place / "model", SETTINGS)]
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    code, said = Process([sys.executable, *torchrun, *step], place).end()
    assert code == 0, said
    assert said.count("shared by 2 processes on 1 nodes") == 1  # the second says nothing
    return place / "model"


def test_two_processes_have_the_curves_of_one(digits: Path, by_two: Path, tmp_path: Path) -> None:
    """Else a model would depend on how many machines it was trained on."""
    code, said = alone(digits, tmp_path).end()
    assert code == 0, said
    one, two = curves(tmp_path / "model"), curves(by_two)
    for part in ("train", "validation"):
        assert one[part].keys() == two[part].keys()
        for name, column in one[part].items():
            assert two[part][name] == pytest.approx(column, rel=1e-3, abs=1e-4), name
    assert two["train"]["loss"][-1] < two["train"]["loss"][0]


def test_one_that_is_terminated_stops_all_and_they_go_on_in_the_same_bits(
    digits: Path, by_two: Path, tmp_path: Path
) -> None:
    """A node that is taken away must not cost what the others have done."""
    first, second = pods(digits, tmp_path)
    while not list(first.kept.glob("*.pt")):
        time.sleep(0.01)
    second.terminate()  # the one that writes nothing
    for code, said in (first.end(), second.end()):
        assert code == 143, said
        assert "saved" in said
    assert not (tmp_path / "model").exists()
    for process in pods(digits, tmp_path):
        code, said = process.end()
        assert code == 0, said
    assert files(tmp_path / "model") == files(by_two)


def test_a_batch_too_small_to_share_is_refused() -> None:
    batch = {"x": torch.zeros(3, 2)}
    with (
        pytest.raises(InputError, match="a batch has 3 rows, too few for 4 processes; set batch"),
        Together(0, 4).part(batch),
    ):
        pass


def test_the_parts_of_a_batch_are_the_batch() -> None:
    """A row taken twice, or by nobody, or noise that two share, would change the curves."""
    batch = {"x": torch.arange(7), "y": torch.arange(14).view(7, 2)}
    rows, noise = [], []
    for rank in range(3):
        torch.manual_seed(0)
        with Together(rank, 3).part(batch) as mine:
            rows.append(mine["x"])
            noise.append(normal_like(mine["y"].float()))
    assert torch.equal(torch.cat(rows), batch["x"])
    torch.manual_seed(0)
    with Team().part(batch) as whole:
        assert torch.equal(torch.cat(noise), normal_like(whole["y"].float()))


def test_noise_that_is_not_by_row_is_an_error() -> None:
    with (
        Together(0, 2).part({"x": torch.zeros(4, 2)}),
        pytest.raises(ValueError, match="3 rows of noise for 2 of the batch"),
    ):
        normal_like(torch.zeros(3, 2))
