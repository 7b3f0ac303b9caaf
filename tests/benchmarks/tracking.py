"""What tracking costs a training step, and what it costs beside: ``-m tests.benchmarks.tracking``.

call      microseconds of one ``metrics`` call with four numbers: in the caller's thread, and
          of the whole process, the thread that writes included
step      the time of a training step with tracking over that without, four numbers told each
          ``log_every`` steps: a hand-written VAE 64-128-16 at one thread. Both take turns, a
          tenth of a second each; a ratio is the median over the turns' ratios. The pair "none"
          has the same loop on both sides: so far apart is chance alone.
sender    CPU and wall seconds of a whole sender process: 10 params, 1,000 numbers, 4 files
register  wall and CPU seconds of the step register, beside a bare ``import mlflow``
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from components import tracking
from tests.benchmarks.harness import PYTHON, ROOT
from tests.tracked import outputs

VALUES = {"train/loss": 2.13, "train/kl": 0.31, "train/reconstruction": 1.82, "train/lr": 1e-3}
TURN = 0.1
"""Seconds of one side's turn."""


@contextlib.contextmanager
def tracked(folder: Path) -> Iterator[tracking.Tracker]:
    """A tracker with a spool of its own."""
    os.environ["TREFOIL_TRACKING"] = tempfile.mkdtemp(dir=folder)
    try:
        with tracking.open() as track:
            yield track
    finally:
        del os.environ["TREFOIL_TRACKING"]


def call(folder: Path, count: int = 50_000, rounds: int = 5) -> tuple[float, float]:
    """Microseconds of a call: of the caller, of the whole process."""
    own, whole = [], []
    for _ in range(rounds):
        began = time.process_time()
        with tracked(folder) as track:
            started = time.thread_time()
            for step in range(count):
                track.metrics(VALUES, step)
            own.append((time.thread_time() - started) / count * 1e6)
        whole.append((time.process_time() - began) / count * 1e6)
    return min(own), min(whole)


def vae() -> Callable[[], None]:
    """A training step as one writes it by hand, with a fused optimiser."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    encoder = torch.nn.Sequential(
        torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 32)
    )
    decoder = torch.nn.Sequential(
        torch.nn.Linear(16, 128), torch.nn.ReLU(), torch.nn.Linear(128, 64)
    )
    optimiser = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], fused=True)
    images = torch.rand(64, 64)

    def step() -> None:
        mean, log_variance = encoder(images).chunk(2, 1)
        z = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(decoder(z), images) * 64
        loss = loss - 0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum(1).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return step


def step(folder: Path, log_every: int, turns: int) -> tuple[float, float, float]:
    """Milliseconds of a bare step; how many times that a tracked one takes, by wall and by CPU.

    ``log_every`` 0 tracks nothing on either side.
    """
    work = vae()
    walls, cpus, bare = [], [], []
    with tracked(folder) as track:

        def turn(every: int) -> tuple[float, float]:
            count, began, cpu = 0, time.perf_counter(), time.process_time()
            while time.perf_counter() - began < TURN:
                work()
                count += 1
                if every and count % every == 0:
                    track.metrics(VALUES, count)
            if every:
                track.flush()  # what the thread would write later belongs to this turn
            wall, cpu = time.perf_counter() - began, time.process_time() - cpu
            return wall / count, cpu / count

        turn(0)
        for number in range(turns):
            sides = [0, log_every][:: 1 if number % 2 else -1]
            found = {side: turn(each) for side, each in zip(_order(number), sides, strict=True)}
            bare.append(found["bare"][0])
            walls.append(found["tracked"][0] / found["bare"][0])
            cpus.append(found["tracked"][1] / found["bare"][1])
    return statistics.median(bare) * 1e3, statistics.median(walls), statistics.median(cpus)


def _order(number: int) -> tuple[str, str]:
    return ("bare", "tracked") if number % 2 else ("tracked", "bare")


def sender(folder: Path, fresh: bool) -> tuple[float, float]:
    """Wall and CPU seconds of a sender, from its start to its end."""
    place = Path(tempfile.mkdtemp(dir=folder))
    spool, workspace = place / "tracking" / "run-1", place if fresh else folder
    uri = f"sqlite:///{workspace / 'mlflow.db'}"
    (place / "picture.png").write_bytes(b"x" * 20_000)
    environment = {"TREFOIL_TRACKING": str(spool), "MLFLOW_TRACKING_URI": uri}
    os.environ["TREFOIL_TRACKING"] = str(spool)
    with tracking.open() as track:
        track.params({f"p{number}": number for number in range(10)})
        for number in range(250):
            track.metrics(VALUES, number)
        for number in range(4):
            track.artifact(place / "picture.png", f"pictures/{number}")
    del os.environ["TREFOIL_TRACKING"]
    before, began = _children(), time.perf_counter()
    tracking.start_sender(spool, environment)
    tracking.finish(spool, "succeeded")
    if tracking._started.pop().wait():
        raise RuntimeError((spool / "deliver.log").read_text())
    return time.perf_counter() - began, _children() - before


def process(folder: Path, *command: str, **environment: str) -> tuple[float, float]:
    """Wall and CPU seconds of a process."""
    before, began = _children(), time.perf_counter()
    subprocess.run(
        [PYTHON, *command], cwd=ROOT, check=True, capture_output=True,
        env={**os.environ, "TREFOIL_WORKSPACE": str(folder), **environment},
    )  # fmt: skip
    return time.perf_counter() - began, _children() - before


def register(folder: Path, fresh: bool) -> tuple[float, float]:
    """Wall and CPU seconds of the step register."""
    place = Path(tempfile.mkdtemp(dir=folder))
    left = outputs(place / "left")
    return process(
        place if fresh else folder, "-m", "components.register",
        "--dataset", str(left / "dataset"), "--model", str(left / "model"),
        "--evaluation", str(left / "evaluation"), "--model-name", "m",
        "--version", str(place / "version"), TREFOIL_RUN_ID=place.name,
    )  # fmt: skip


def main(argv: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--turns", type=int, default=100, help="of each side of a step")
    parser.add_argument("--rounds", type=int, default=5, help="of each process")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args([] if argv is None else argv)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        found = _measure(folder, arguments.turns, arguments.rounds)
    if arguments.json:
        print(json.dumps(found, indent=2))
        return
    for table, rows in found.items():
        for name, row in rows.items():
            cells = "   ".join(f"{key} {value:.3f}" for key, value in row.items())
            print(f"{table:10}{name:24}{cells}")


def _measure(folder: Path, turns: int, rounds: int) -> dict[str, dict[str, dict[str, float]]]:
    own, whole = call(folder)
    found = {"call": {"4 numbers": {"caller us": own, "process us": whole}}}
    found["step"] = {}
    for name, log_every in (("none", 0), ("log_every 10", 10), ("log_every 1", 1)):
        bare, wall, cpu = step(folder, log_every, turns)
        found["step"][name] = {"bare ms": bare, "wall x": wall, "cpu x": cpu}
    sender(folder, fresh=False)
    processes: dict[tuple[str, str], Callable[[], tuple[float, float]]] = {
        ("sender", "fresh database"): lambda: sender(folder, fresh=True),
        ("sender", "existing"): lambda: sender(folder, fresh=False),
        ("register", "fresh database"): lambda: register(folder, fresh=True),
        ("register", "existing"): lambda: register(folder, fresh=False),
        ("register", "(import mlflow)"): lambda: process(folder, "-c", "import mlflow"),
    }
    used: dict[tuple[str, str], list[tuple[float, float]]] = {key: [] for key in processes}
    for _ in range(rounds):
        for key, run in processes.items():
            used[key].append(run())
    for (table, name), runs in used.items():
        wall, cpu = (statistics.median(values) for values in zip(*runs, strict=True))
        least = min(wall for wall, _ in runs)
        found.setdefault(table, {})[name] = {"wall s": wall, "min": least, "cpu s": cpu}
    return found


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main(sys.argv[1:])
