"""What tests of tracking share: a place to tell to, and what was told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.tracked import lines


@pytest.fixture(name="place")
def made_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TREFOIL_TRACKING", str(tmp_path / "spool"))
    monkeypatch.setenv("TREFOIL_STEP", "train")
    return tmp_path / "spool"


def told(place: Path, kind: str) -> list[Any]:
    return [line[kind] for line in lines(place / "train.jsonl") if kind in line]


def points(place: Path) -> list[tuple[str, float, int]]:
    return [
        (name, value, step)
        for group in told(place, "metrics")
        for _, step, values in group
        for name, value in values.items()
        if not name.startswith("system/")
    ]
