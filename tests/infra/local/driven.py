"""A run in a process of its own, to be killed or signalled, and a plan that waits to be."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest


class Driven:
    """A run in a process of its own."""

    def __init__(self, workspace: Path, steps: list[dict[str, Any]], **own: Any) -> None:
        plan = workspace.with_suffix(".json")
        plan.write_text(json.dumps(steps))
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.infra.local.driving",
                str(workspace),
                str(plan),
                json.dumps(own),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.told: list[str] = []
        """What it has said so far: an event a line."""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, there: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not there():
            assert time.monotonic() < deadline, "it never came"
            assert self.process.poll() is None, "the run ended too early"
            time.sleep(0.01)

    def end(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def states(self) -> dict[str, str]:
        self.process.wait(timeout=60)
        self._reader.join()
        return {name: state for name, state, _ in map(json.loads, self.told)}

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as out:
            self.told.extend(out)


Drive: TypeAlias = Callable[..., Driven]
"""Takes steps as ``driving`` reads them, and settings."""


@pytest.fixture(name="drive")
def made_drive(tmp_path: Path) -> Iterator[Drive]:
    started: list[Driven] = []

    def start(steps: list[dict[str, Any]], **own: Any) -> Driven:
        started.append(Driven(tmp_path / "w", steps, **own))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.wait()


def counted(tmp_path: Path, name: str) -> str:
    """A script that notes that it ran, writes half of its output, waits, and writes the rest."""
    return (
        f"open({str(tmp_path / name)!r}, 'a').write('ran\\n'); out = open(place['o'], 'w'); "
        "out.write('half '); out.flush(); "
        f"open({str(tmp_path / (name + '.half'))!r}, 'w').close(); "
        f"[time.sleep(0.01) for _ in range(6000) if not os.path.exists({str(tmp_path / 'go')!r})]; "
        "out.write('whole'); out.close()"
    )


def times(tmp_path: Path, name: str) -> int:
    file = tmp_path / name
    return len(file.read_text().splitlines()) if file.exists() else 0


def plan(tmp_path: Path) -> list[dict[str, Any]]:
    first = (
        f"open({str(tmp_path / 'first')!r}, 'a').write('ran\\n'); open(place['o'], 'w').write('1')"
    )
    effect = first.replace("first", "effect")
    return [
        {"name": "first", "script": first, "makes": ["o"]},
        {"name": "effect", "script": effect, "makes": ["o"], "cache": False,
         "takes": {"i": "first.o"}},
        {"name": "second", "script": counted(tmp_path, "second"), "makes": ["o"],
         "takes": {"i": "effect.o"}},
    ]  # fmt: skip


def ended(pid: int) -> bool:
    """Whether a process is gone, or dead and merely not reaped yet."""
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"


def ends(pid: int) -> bool:
    """Whether a process that was killed is gone, once the kernel has seen to it."""
    deadline = time.monotonic() + 10
    while not ended(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return ended(pid)
