"""What tests of the train step share: its data, its command, and the fewest of settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.prepared import write_digits

ROOT = Path(__file__).parents[1]

CONFIG = {
    "steps": 600, "hidden": 32, "latent": 4, "beta": 1, "schedule": "cosine", "clip": 50,
    "checkpoint_seconds": 0.05, "dropout": 0.1,
}  # fmt: skip


@pytest.fixture(scope="module", name="digits")
def made_digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_digits(tmp_path_factory.mktemp("data") / "digits")


def command(digits: Path, model: Path, config: dict[str, Any] | None = None) -> list[str]:
    return [
        "--dataset", str(digits), "--recipe", "vae", "--seed", "3", "--model", str(model),
        "--config", json.dumps(CONFIG if config is None else config),
    ]  # fmt: skip
