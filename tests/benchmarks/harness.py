"""Whole processes, timed in turns: A B C A B C ..., so that a busy moment hits all alike."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

ROOT = Path(__file__).parent.parent.parent
PYTHON = sys.executable


class Used(NamedTuple):
    """What one run of a command took; ``peak_mb`` is the sum over all processes alive at once."""

    wall: float
    cpu: float
    peak_mb: float = 0.0


class Contender(NamedTuple):
    """A command and what puts its ground in order before each run, untimed."""

    name: str
    command: Sequence[str]
    before: Callable[[], object] = lambda: None
    environment: Mapping[str, str] = {}
    folder: Path = ROOT


class Goal(NamedTuple):
    """One contender's figure over another's, to be at most ``most``, ``plus`` so much for free."""

    name: str
    over: str
    most: float
    plus: float = 0.0


def once(contender: Contender, memory: bool = False) -> Used:
    """Run it once. Raises RuntimeError with its last lines where it fails."""
    contender.before()
    began = time.perf_counter()
    process = subprocess.Popen(
        contender.command,
        cwd=contender.folder,
        env={**os.environ, **contender.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    peak = _Peak(process.pid) if memory else None
    out, _ = process.communicate()
    used = Used(time.perf_counter() - began, _cpu(), peak.end() if peak else 0.0)
    if process.returncode:
        raise RuntimeError(f"{contender.name} failed: {out.decode(errors='replace')[-800:]}")
    return used


def in_turns(
    contenders: Sequence[Contender], rounds: int, memory: bool = False
) -> dict[str, list[Used]]:
    """Each contender once to warm up, then ``rounds`` times in turn."""
    found: dict[str, list[Used]] = {each.name: [] for each in contenders}
    for number in range(rounds + 1):
        for each in contenders:
            before = _cpu()
            used = once(each, memory)
            if number:
                found[each.name].append(used._replace(cpu=used.cpu - before))
    return found


def flags(argv: list[str] | None, rounds: int) -> argparse.Namespace:
    """The flags of every table: ``--rounds`` and ``--json``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(argv)


def tell(
    found: Mapping[str, list[Used]],
    floor: str,
    wanted: Mapping[str, Sequence[Goal]],
    missing: Sequence[str] = (),
    as_json: bool = False,
) -> None:
    """Print medians and goals (by the figure that they are about), and what is missing and why."""
    aims = [row for figure, some in wanted.items() for row in goals(found, some, figure)]
    if as_json:
        medians = {name: _median(runs)._asdict() for name, runs in found.items()}
        print(json.dumps({"medians": medians, "goals": aims, "missing": list(missing)}, indent=2))
    else:
        print("\n".join([*table(found, floor), *aims, *missing]))


def table(found: Mapping[str, list[Used]], floor: str) -> list[str]:
    """Medians, and how many times the floor's."""
    base = _median(found[floor])
    rows = [
        f"{'':<34}{'wall s':>9}{'min':>9}{'max':>9}{'cpu s':>9}{'MB':>7}{'wall x':>8}{'cpu x':>8}"
    ]
    for name, runs in found.items():
        middle = _median(runs)
        walls = [run.wall for run in runs]
        rows.append(
            f"{name:<34}{middle.wall:9.3f}{min(walls):9.3f}{max(walls):9.3f}{middle.cpu:9.3f}"
            f"{middle.peak_mb:7.0f}{middle.wall / base.wall:8.2f}{middle.cpu / base.cpu:8.2f}"
        )
    return rows


def goals(
    found: Mapping[str, list[Used]], wanted: Sequence[Goal], figure: str = "wall"
) -> list[str]:
    """Each ratio, as the median of the ratios turn by turn, beside what it should be at most."""
    rows = []
    for goal in wanted:
        if goal.name not in found or goal.over not in found:
            rows.append(f"{goal.name} / {goal.over}: not measured")
            continue
        pairs = zip(found[goal.name], found[goal.over], strict=True)
        ratio = statistics.median(
            (getattr(a, figure) - goal.plus) / getattr(b, figure) for a, b in pairs
        )
        word = "reached" if ratio <= goal.most else "NOT REACHED"
        name = f"({goal.name} - {goal.plus:g})" if goal.plus else goal.name
        rows.append(f"{figure} of {name} / {goal.over}: {ratio:.3f}, goal <= {goal.most:g}: {word}")
    return rows


def _median(runs: list[Used]) -> Used:
    return Used(*(statistics.median(values) for values in zip(*runs, strict=True)))


def _cpu() -> float:
    times = os.times()
    return times.children_user + times.children_system


class _Peak:
    """Samples the memory (PSS where the system tells it) of a process and all below it."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._most, self._over = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def end(self) -> float:
        self._over.set()
        self._thread.join()
        return self._most / 1e6

    def _watch(self) -> None:
        while not self._over.wait(0.05):
            self._most = max(self._most, sum(map(_memory, self._family())))

    def _family(self) -> list[psutil.Process]:
        try:
            return [self._process, *self._process.children(recursive=True)]
        except psutil.Error:
            return []


def _memory(process: psutil.Process) -> float:
    try:
        full = process.memory_full_info()
        return float(getattr(full, "pss", full.rss))
    except psutil.Error:
        return 0.0
