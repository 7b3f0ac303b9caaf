"""What the rows set aside decide: the weights that are kept, the halving of the rate, the end."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Any

import torch

from training import data
from training.configs import LoopConfig
from training.data import Columns
from training.meter import NotFinite
from training.model import Model, named

SEED = 0
"""Every validation has the same noise, so that two differ by their weights alone."""
ROWS = 1024
"""Rows looked at in one go."""


class Validation:
    """Looks at a model now and then, and remembers the best of it."""

    def __init__(
        self,
        model: Model,
        rows: Columns,
        config: LoopConfig,
        same: Callable[[dict[str, float]], dict[str, float]] = lambda means: means,
    ) -> None:
        """``rows`` lie where the model's parameters do; without any it decides nothing.

        ``same`` gives every process of a team the numbers of one, so that all decide alike.
        """
        self._same = same
        self._model, self._rows, self._config = model, rows, config
        self._stale = 0
        """Looks since the best one."""
        self._halvings = 0
        """Of the learning rate, by the schedule plateau."""
        self._best: dict[str, Any] | None = None

    def due(self, step: int) -> bool:
        """Whether it is time to look."""
        last = step == self._config.steps
        return bool(self._rows) and (last or step % self._config.validate_every == 0)

    def ended(self) -> bool:
        """Whether patience is at its end."""
        return 0 < self._config.patience <= self._stale

    def factor(self) -> float:
        """What the learning rate is multiplied with."""
        return 0.5**self._halvings

    def look(self, step: int) -> dict[str, float]:
        """Means over the rows, by name; remembers the weights if best. Raises NotFinite."""
        means = self._same(self._means(step))
        found = means[self._model.criterion]
        if self._best is None or found < self._best["value"]:
            weights = {name: t.clone() for name, t in self._model.state_dict().items()}
            self._best = {"value": found, "step": step, "weights": weights}
            self._stale = 0
        else:
            self._stale += 1
            plateau = self._config.schedule == "plateau"
            self._halvings += plateau and self._stale % self._config.plateau == 0
        return means

    def keep_best(self) -> int | None:
        """Give the model its best weights; the step they are of, None where it never looked."""
        if self._best is None:
            return None
        self._model.load_state_dict(self._best["weights"])
        return int(self._best["step"])

    def state(self) -> dict[str, Any]:
        """What ``restore`` goes on from."""
        return {"stale": self._stale, "halvings": self._halvings, "best": self._best}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where ``state`` was taken."""
        self._stale, self._halvings = state["stale"], state["halvings"]
        self._best = state["best"]

    @torch.no_grad()
    def _means(self, step: int) -> dict[str, float]:
        """Leaves no trace in any state."""
        model, rows = self._model, data.count(self._rows)
        model.eval()
        totals: dict[str, float] = {}
        device = next(model.parameters()).device
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(SEED)
            for part in torch.split(torch.arange(rows), ROWS):
                batch = model.prepare(data.take(self._rows, part))
                for player in model.players:
                    for name, scalar in named(player, model.losses(batch, player, step)).items():
                        share = len(part) / rows
                        totals[name] = totals.get(name, 0.0) + share * float(scalar)
        model.train()
        for name, total in totals.items():
            if not isfinite(total):
                raise NotFinite(f"validation's {name}", total, step)
        return totals | model.derived(totals)
