"""``python -m components.train``: fit a recipe to a prepared data set and write the model.

What is written is told in ``training.export``. Checkpoints are kept where the contract says, on a
timer and on SIGTERM; the same call goes on from the newest one and ends in the same bytes as if
it had never been stopped.

Started several times together (see ``training.launch``) it is one training, of which each process
takes its rows of every batch; the first one writes.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from components import contract, tracking
from training import launch, recipes
from training.errors import InputError

if TYPE_CHECKING:
    from training.checkpoint import Checkpoints
    from training.data import Dataset
    from training.loop import Outcome, Point
    from training.model import Model

SAVED = 1
"""Format of what a checkpoint holds; another is not gone on from."""

_ASIDE = {"checkpoint_seconds"}
"""Settings that do not change what a run comes to."""
_WITHIN = 2**32


def main(argv: Sequence[str] | None = None) -> None:
    """Train one model. Raises InputError, or Terminated once a checkpoint is written."""
    arguments = _parser().parse_args(argv)
    recipe = recipes.configure(arguments.recipe, _config(arguments.config))
    if not 0 <= arguments.seed < _WITHIN:
        raise InputError(f"the seed is {arguments.seed}; it must be from 0 to {_WITHIN - 1}")
    recipes.require(recipe, arguments.dataset)
    place = launch.rendezvous(os.environ)
    launch.tell(place, os.environ)
    with contract.Termination() as termination, tracking.open() as track:
        _train(recipe, arguments, place, termination, track)


def _parser() -> contract.Arguments:
    parser = contract.Arguments(prog="python -m components.train", description=__doc__)
    add = parser.add_argument
    add("--dataset", type=Path, required=True, metavar="DIR", help="what prepare wrote")
    add("--recipe", default="vae", help=f"one of {', '.join(recipes.names())}")
    add("--config", default="{}", metavar="JSON", help="settings of the recipe, an object")
    add("--seed", type=int, default=0, help="of weights, order and noise")
    add("--model", type=Path, required=True, metavar="DIR", help="where to write")
    return parser


def _config(text: str) -> dict[str, object]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise InputError(f"--config is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise InputError(f'--config is {text}, not an object like {{"steps": 500}}')
    return found


def _train(
    recipe: recipes.Recipe,
    arguments: argparse.Namespace,
    place: launch.Rendezvous,
    termination: contract.Termination,
    track: tracking.Tracker,
) -> None:
    import torch

    from training import data, export, parallel
    from training.loop import Interrupted, Loop
    from training.model import build

    torch.set_num_threads(recipe.loop.threads)
    dataset = data.load(arguments.dataset)
    model = build(recipe.model, recipe.config, dataset.spec, arguments.seed)
    if torch.cuda.is_available():
        torch.cuda.set_device(place.local_rank)
        model.cuda()
        place = place._replace(backend="nccl")
    track.params({"recipe": recipe.name, "seed": arguments.seed, **recipe.settings()})
    track.dataset(dataset.spec.name, dataset.spec.md5)
    progress = Progress(recipe.loop.steps)

    def report(point: Point) -> None:
        track.metrics({f"{point.part}/{name}": v for name, v in point.values.items()}, point.step)
        progress.show(point)

    with parallel.joined(place) as team:
        if team.leads:
            _say(_summary(recipe, dataset, model, place))
        loop = Loop(
            model, dataset, recipe.loop, arguments.seed,
            report=report if team.leads else lambda _: None, stop=termination.requested,
            checkpoints=_checkpoints(recipe, dataset, arguments.seed), before_save=track.flush,
            team=team,
        )  # fmt: skip
        try:
            outcome = loop.run()
        except Interrupted as error:
            raise contract.Terminated(str(error)) from None
    if not team.leads:
        return
    _say(_ending(outcome, model, progress.seconds()))
    with contract.output_directory(arguments.model) as directory:
        export.save(directory, model, recipe, arguments.seed, outcome)


def _checkpoints(recipe: recipes.Recipe, dataset: Dataset, seed: int) -> Checkpoints | None:
    from training.checkpoint import Checkpoints, fingerprint

    place = contract.checkpoints()
    if place is None:
        return None
    settings = {name: v for name, v in recipe.settings().items() if name not in _ASIDE}
    described = {
        "format": SAVED, "model": recipe.model, "settings": settings, "seed": seed,
        "data": dataset.digest(),
    }  # fmt: skip
    return Checkpoints(place, fingerprint(described), _say)


class Progress:
    """Prints how training goes, a line a second at most."""

    def __init__(self, steps: int, every: float = 1.0) -> None:
        self._steps, self._every = steps, every
        self._began = self._shown = time.monotonic()
        self._first: int | None = None
        self._validation: Mapping[str, float] = {}

    def seconds(self) -> float:
        """Since training began."""
        return time.monotonic() - self._began

    def show(self, point: Point) -> None:
        """Print a line if it is time to."""
        if point.part == "validation":
            self._validation = point.values
            return
        now = time.monotonic()
        if self._first is None:  # the rate counts from here: a resumed run did not do the rest
            self._first, self._since = point.step, now
        if now - self._shown < self._every:
            return
        self._shown = now
        numbers = [f"{name} {v:.4g}" for name, v in point.values.items() if name != "lr"]
        if "bits_per_dim" in self._validation:
            numbers.append(f"validation {self._validation['bits_per_dim']:.4g}")
        if point.step > self._first:
            rate = (point.step - self._first) / (now - self._since)
            left = (self._steps - point.step) / rate
            numbers += [f"{rate:.0f} steps/s", f"{_duration(left)} left"]
        width = len(str(self._steps))
        _say("  ".join([f"step {point.step:{width}}/{self._steps}", *numbers]))


def _summary(
    recipe: recipes.Recipe, dataset: Dataset, model: Model, place: launch.Rendezvous
) -> str:
    weights = sum(parameter.numel() for parameter in model.parameters())
    rows = len(next(iter(dataset.train.values())))
    several = f", shared by {place.world_size} processes on {place.nodes} nodes"
    shared = several if place.world_size > 1 else ""
    return (
        f"{recipe.name} on {dataset.spec.name}: {rows} training rows, {weights} weights, "
        f"{recipe.loop.steps} steps of {recipe.loop.batch_size}{shared}"
    )


def _ending(outcome: Outcome, model: Model, seconds: float) -> str:
    done = outcome.steps - outcome.resumed_at
    resumed = f" (resumed at step {outcome.resumed_at})" if outcome.resumed_at else ""
    text = f"{done} steps in {_duration(seconds)}{resumed}"
    validation = outcome.curves["validation"]
    if validation["step"]:
        best = validation[model.criterion][validation["step"].index(outcome.best_step)]
        text += f"; kept step {outcome.best_step}, validation {model.criterion} {best:.4g}"
    return text


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    contract.run(main)
