"""One loop for every model: players, schedules, averages, validation, checkpoints.

A step asks the model who moves. Each player that does gets a batch, has its losses taken, and its
own optimiser lowers its ``loss`` by its own parameters alone; gradients of the others are not
even computed. All else happens between steps: every ``log_every`` the means go into the curves,
every ``validate_every`` the rows set aside are looked at, and a checkpoint is written on a timer
and when ``stop`` says so. What was reported before a checkpoint (``before_save`` is the last chance
to write it down) is not reported again by a run that goes on from it.

A run is a function of configuration, seed and data on one kind of machine. Whatever it has
remembered is in ``_state``, so a run that goes on from a checkpoint ends in the same bits as one
that was never interrupted; the tests hold it to that.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from math import nan
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from training import data, schedules
from training.checkpoint import Checkpoints
from training.configs import LoopConfig
from training.data import Batches, Columns, Dataset
from training.errors import InputError
from training.meter import Meter, NotFinite
from training.model import Model, named
from training.optimiser import AdamW, Average
from training.parallel import Team
from training.schedules import value
from training.validation import Validation

Part = Literal["train", "validation"]
Curves = dict[str, dict[str, list[float | None]]]
"""By part, the numbers of each point by name; ``step`` is one of them. None: not at that point,
as of a player that had no turn."""


class Point(NamedTuple):
    """What is reported: the numbers of a part of the data at a step."""

    step: int
    part: Part
    values: dict[str, float]


class Interrupted(Exception):
    """Asked to stop; what was done until then is in a checkpoint, where there is a place for it."""

    def __init__(self, step: int, saved: bool) -> None:
        kept = "saved" if saved else "with nowhere to save it"
        super().__init__(f"at step {step}, {kept}")
        self.step, self.saved = step, saved


class Diverged(InputError):
    """A loss was NaN or infinite. The same run would do so again."""


@dataclass(frozen=True)
class Outcome:
    """How training ended; the model then has the weights of ``best_step``."""

    steps: int
    best_step: int
    resumed_at: int
    curves: Curves


class Loop:
    """Trains a model, once. The model's parameters stay where they are, and data goes there."""

    def __init__(
        self,
        model: Model,
        dataset: Dataset,
        config: LoopConfig,
        seed: int,
        *,
        checkpoints: Checkpoints | None = None,
        report: Callable[[Point], None] = lambda _: None,
        before_save: Callable[[], None] = lambda: None,
        stop: Callable[[], bool] = lambda: False,
        team: Team | None = None,
    ) -> None:
        self._model, self._config = model, config
        self._team = team or Team()
        self._checkpoints, self._before_save = checkpoints, before_save
        self._report, self._stop = report, stop
        self._device = next(model.parameters()).device
        train, aside = dataset.set_aside(config.validation)
        order = data.stream(seed, "order")
        self._batches = Batches(self._moved(train), config.batch_size, order, model.prepare)
        self._validation = Validation(model, self._moved(aside), config, self._team.same)
        torch.manual_seed(data.stream(seed, "noise"))
        self._optimisers = {
            player: AdamW(list(model.get_submodule(player).parameters()), config.betas)
            for player in model.players
        }
        self._meters = {player: Meter(config.log_every) for player in model.players}
        parameters = list(model.parameters())
        self._average = Average(parameters, config.ema) if config.ema else None
        self._step = self._saved = 0
        self._curves: Curves = {"train": {"step": []}, "validation": {"step": []}}

    def run(self) -> Outcome:
        """Train to the end. Raises Interrupted where ``stop`` asks, Diverged at a NaN."""
        resumed_at = self._resume()
        self._model.train()
        self._due = time.monotonic() + self._config.checkpoint_seconds
        try:
            while not self._ended():
                self._advance()
                self._after()
        except NotFinite as error:
            raise self._diverged(error) from None
        best_step = self._keep_best()
        self._model.eval()
        return Outcome(self._step, best_step, resumed_at, self._curves)

    def _ended(self) -> bool:
        return self._step >= self._config.steps or self._validation.ended()

    def _advance(self) -> None:
        """One step: each player whose turn it is moves."""
        step, config = self._step, self._config
        rate = self._rate(step)
        decay, clip = value(config.weight_decay, step), value(config.clip, step)
        for player in self._model.turns(step):
            optimiser = self._optimisers[player]
            with self._team.part(self._batches.next()) as batch:
                losses = self._model.losses(batch, player, step)
            gradients = torch.autograd.grad(
                losses["loss"], optimiser.parameters, materialize_grads=True
            )
            losses, gradients = self._team.mean(losses, gradients)
            optimiser.step(gradients, rate, decay, clip)
            self._meters[player].add(step + 1, losses)
        self._step += 1
        if self._average:
            self._average.update(self._step)

    def _after(self) -> None:
        """What is due between two steps."""
        config, step = self._config, self._step
        if step % config.log_every == 0 or step == config.steps:
            self._log()
        if self._validation.due(step):
            with self._averaged():
                means = self._validation.look(step)
            self._note("validation", means)
        if self._ended():
            return
        if self._team.any(self._stop()):
            self._save()
            self._team.any(False)  # nobody ends before it is saved: that would end the others
            raise Interrupted(step, self._checkpoints is not None)
        if self._checkpoints and time.monotonic() >= self._due:
            self._save()
            self._due = time.monotonic() + config.checkpoint_seconds

    def _rate(self, step: int) -> float:
        config = self._config
        factor = schedules.rate(config.schedule, step, config.steps, config.warmup)
        return value(config.lr, step) * factor * self._validation.factor()

    def _log(self) -> None:
        means: dict[str, float] = {}
        for player, meter in self._meters.items():
            means |= named(player, meter.take())
        self._note("train", means | self._model.derived(means) | {"lr": self._rate(self._step - 1)})

    def _note(self, part: Part, values: dict[str, float]) -> None:
        columns, numbers = self._curves[part], {"step": self._step} | values
        before = len(columns["step"])
        for name in numbers:
            columns.setdefault(name, [None] * before)
        for name, column in columns.items():
            column.append(numbers.get(name))
        self._report(Point(self._step, part, values))

    def _averaged(self) -> AbstractContextManager[None]:
        return self._average.in_place() if self._average else nullcontext()

    def _keep_best(self) -> int:
        """Give the model the weights to keep; the step they are of."""
        best = self._validation.keep_best()
        if best is None and self._average:
            self._average.settle()
        return self._step if best is None else best

    def _moved(self, columns: Columns) -> Columns:
        return {name: column.to(self._device) for name, column in columns.items() if len(column)}

    def _diverged(self, error: NotFinite) -> Diverged:
        kept = f"the checkpoint of step {self._saved} is kept" if self._saved else "none was saved"
        return Diverged(
            f"training diverged: {error}, with a learning rate of {self._rate(error.step - 1):g}; "
            f"{kept}; try a lower lr, or set clip"
        )

    def _save(self) -> None:
        """Write a checkpoint, never one that holds a number that is not finite."""
        if self._checkpoints is None:
            return
        for meter in self._meters.values():
            meter.check()
        for optimiser in self._optimisers.values():
            for tensor in optimiser.tensors():
                if not tensor.isfinite().all():
                    raise NotFinite("a weight, or the optimiser's memory of one,", nan, self._step)
        if self._team.leads:
            self._before_save()
            self._checkpoints.save(self._step, self._state())
        self._saved = self._step

    def _resume(self) -> int:
        own = self._checkpoints.newest() if self._checkpoints and self._team.leads else None
        state = self._team.same(own)
        if state is not None:
            self._restore(state)
        self._saved = self._step
        return self._step

    def _state(self) -> dict[str, Any]:
        return {
            "step": self._step,
            "model": self._model.state_dict(),
            "optimisers": {name: each.state() for name, each in self._optimisers.items()},
            "average": self._average.state() if self._average else None,
            "batches": self._batches.state(),
            "meters": {name: each.state() for name, each in self._meters.items()},
            **self._validation.state(),
            "curves": self._curves,
            "noise": self._noise(),
        }

    def _restore(self, state: dict[str, Any]) -> None:
        self._step = state["step"]
        self._model.load_state_dict(state["model"])
        for name, optimiser in self._optimisers.items():
            optimiser.restore(state["optimisers"][name])
        if self._average:
            self._average.restore(state["average"])
        self._batches.restore(state["batches"])
        for name, meter in self._meters.items():
            meter.restore(state["meters"][name], self._device)
        self._validation.restore(state)
        self._curves = state["curves"]
        torch.set_rng_state(state["noise"][0])
        if self._device.type == "cuda":
            torch.cuda.set_rng_state(state["noise"][1], self._device)

    def _noise(self) -> list[Tensor]:
        cuda = self._device.type == "cuda"
        return [torch.get_rng_state()] + ([torch.cuda.get_rng_state(self._device)] if cuda else [])
