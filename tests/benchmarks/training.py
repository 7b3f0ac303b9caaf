"""The training loop beside hand-written ones: ``python -m tests.benchmarks.training [--json]``.

All train the VAE of the recipe ``vae`` on digits with the model's own losses, at one thread, from
the same tensors in memory, already prepared, with equal batches:

    plain     default Adam, rows picked by fancy indexing, nothing else: no log, no checkpoint
    tuned     the same with fused AdamW, index_select and gradients set to None
    loop      our loop as the recipe has it: schedule, weight decay, average of the weights, curves,
              validation, and a checkpoint every second, thirty times as often as by default
    tracked   the same, telling all of it to a tracking spool

Variants take turns within a round, in an order that changes; figures are medians over rounds. A
ratio is the median of each round's ratio, which a machine that is busy for a while disturbs less;
that of processor time, all threads together, is disturbed least. There are no limits here: the
figures to reach are in the issue.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch

from components import prepare, tracking
from training import data, recipes
from training.checkpoint import Checkpoints
from training.data import Dataset
from training.loop import Loop, Point
from training.model import Model, build

WARM = 100
"""Steps of each turn that are not timed."""


class Spent(NamedTuple):
    """Microseconds of a step: on the wall's clock, and of the processor."""

    wall: float
    cpu: float


Run = Callable[[int], Spent]
"""Trains for so many steps and says what one took."""


def clocks() -> Spent:
    """Both, now, in seconds."""
    return Spent(time.perf_counter(), time.process_time())


def spent(began: Spent, ended: Spent, steps: int) -> Spent:
    """What one of these steps took."""
    return Spent(*((b - a) / steps * 1e6 for a, b in zip(began, ended, strict=True)))


def plain(dataset: Dataset) -> Run:
    """What one writes at first."""
    model, columns, size, rate = _parts(dataset)
    optimiser = torch.optim.Adam(model.parameters(), lr=rate)
    rows = data.count(columns)

    def run(steps: int) -> Spent:
        order, at = torch.randperm(rows), 0
        began = clocks()
        for step in range(steps):
            if at + size > rows:
                order, at = torch.randperm(rows), 0
            picked = order[at : at + size]
            at += size
            batch = {name: column[picked] for name, column in columns.items()}
            optimiser.zero_grad()
            loss = model.losses(batch, "", step)["loss"]
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        return spent(began, clocks(), steps)

    return run


def tuned(dataset: Dataset) -> Run:
    """What one writes after a look at a profile."""
    model, columns, size, rate = _parts(dataset)
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.2, fused=True)
    rows = data.count(columns)

    def run(steps: int) -> Spent:
        order, at = torch.randperm(rows), 0
        began = clocks()
        for step in range(steps):
            if at + size > rows:
                order, at = torch.randperm(rows), 0
            picked = order[at : at + size]
            at += size
            batch = {name: column.index_select(0, picked) for name, column in columns.items()}
            loss = model.losses(batch, "", step)["loss"]
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        return spent(began, clocks(), steps)

    return run


def ours(dataset: Dataset, folder: Path, schedule: str, tracked: bool) -> Run:
    """The loop; timed from its own reports, so that its start is not in it."""

    def run(steps: int) -> Spent:
        given = {
            "steps": WARM + steps, "schedule": schedule, "patience": 0, "checkpoint_seconds": 1.0,
        }  # fmt: skip
        recipe = recipes.configure("vae", given)
        model = build(recipe.model, recipe.config, dataset.spec, 0)
        times: dict[int, Spent] = {}
        place = Path(tempfile.mkdtemp(dir=folder))
        if tracked:
            os.environ["TREFOIL_TRACKING"] = str(place / "spool")
        with tracking.open() as track:
            os.environ.pop("TREFOIL_TRACKING", None)

            def report(point: Point) -> None:
                track.metrics({f"{point.part}/{k}": v for k, v in point.values.items()}, point.step)
                if point.part == "train":
                    times[point.step] = clocks()

            checkpoints = Checkpoints(place / "checkpoints", "bench", print)
            Loop(
                model, dataset, recipe.loop, 0, checkpoints=checkpoints, report=report,
                before_save=track.flush,
            ).run()  # fmt: skip
        return spent(times[WARM], times[WARM + steps], steps)

    return run


def _parts(dataset: Dataset) -> tuple[Model, data.Columns, int, float]:
    recipe = recipes.get("vae")
    model = build(recipe.model, recipe.config, dataset.spec, 0).train()
    train, _ = dataset.set_aside(recipe.loop.validation)
    return model, model.prepare(train), recipe.loop.batch_size, 1e-3


def measure(dataset: Dataset, folder: Path, rounds: int, steps: int) -> dict[str, list[Spent]]:
    """Microseconds a step, of each variant in each round."""
    variants = {
        "plain": plain(dataset),
        "tuned": tuned(dataset),
        "loop": ours(dataset, folder, "cosine", tracked=False),
        "tracked": ours(dataset, folder, "cosine", tracked=True),
    }
    found: dict[str, list[Spent]] = {name: [] for name in variants}
    for run in variants.values():
        run(WARM)
    names = list(variants)
    for turn in range(rounds):
        for name in names[turn % 4 :] + names[: turn % 4]:
            found[name].append(variants[name](steps))
    return found


def digits(folder: Path) -> Dataset:
    """The digits as prepare writes them."""
    with contextlib.redirect_stderr(io.StringIO()):
        prepare.main(["--dataset", str(folder / "digits")])
    return data.load(folder / "digits")


def main(argv: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args(argv)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        dataset = digits(Path(place))
        found = measure(dataset, Path(place), arguments.rounds, arguments.steps)

    def speed(name: str, beside: str, clock: int) -> float:
        pairs = zip(found[beside], found[name], strict=True)
        return statistics.median(theirs[clock] / ours[clock] for theirs, ours in pairs)

    rows = {
        name: {
            "wall us": statistics.median(each.wall for each in times),
            "cpu us": statistics.median(each.cpu for each in times),
            **{
                f"{clock} x {beside}": speed(name, beside, Spent._fields.index(clock))
                for beside in ("plain", "tuned", "loop")
                for clock in Spent._fields
            },
        }
        for name, times in found.items()
    }
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return
    print("a training step, one thread; x: times as fast as")
    print(f"{'':8}" + "".join(f"{column:>13}" for column in rows["loop"]))
    for name, row in rows.items():
        cells = (f"{value:13.{3 if ' x ' in key else 0}f}" for key, value in row.items())
        print(f"{name:8}" + "".join(cells))


if __name__ == "__main__":
    main()
