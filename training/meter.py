"""The scalars of many steps, kept on their device and read back at once.

Reading a loss at every step makes an accelerator wait for it, and on a processor costs as much as
a small layer. Here a step costs one copy, and a number that is not finite is still told with the
very step it came up in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


class NotFinite(Exception):
    """A loss of the step with this number, counted from 1, was NaN or infinite."""

    def __init__(self, name: str, value: float, step: int) -> None:
        super().__init__(f"{name} is {value} at step {step}")
        self.name, self.value, self.step = name, value, step


class Meter:
    """Means of named scalars since they were last taken."""

    def __init__(self, rows: int) -> None:
        self._capacity = rows
        self._names: tuple[str, ...] = ()
        self._steps: list[int] = []
        self._totals: list[float] = []
        self._count = 0

    @torch.no_grad()
    def add(self, step: int, values: Mapping[str, Tensor]) -> None:
        """Note the scalars of a step. Raises NotFinite where it has to make room."""
        if len(self._steps) == self._capacity:
            self._fold()
        if not self._names:
            self._open(tuple(values), next(iter(values.values())).device)
        torch.stack(tuple(values.values()), out=self._places[len(self._steps)])
        self._steps.append(step)

    def take(self) -> dict[str, float]:
        """The means, and begin anew; nothing where nothing was added. Raises NotFinite."""
        self._fold()
        if self._count == 0:
            return {}
        means = [total / self._count for total in self._totals]
        self._totals, self._count = [], 0
        return dict(zip(self._names, means, strict=True))

    def check(self) -> None:
        """Raises NotFinite where a noted scalar is not finite."""
        if not self._steps:
            return
        rows = self._rows[: len(self._steps)]
        bad = (~rows.isfinite()).nonzero()
        if len(bad):
            row, column = bad[0].tolist()
            raise NotFinite(self._names[column], float(rows[row, column]), self._steps[row])

    def state(self) -> dict[str, Any]:
        """What ``restore`` goes on from."""
        return {
            "names": list(self._names), "steps": list(self._steps), "count": self._count,
            "totals": list(self._totals),
            "rows": self._rows[: len(self._steps)].clone() if self._names else None,
        }  # fmt: skip

    def restore(self, state: dict[str, Any], device: torch.device) -> None:
        """Go on where ``state`` was taken."""
        self._names = ()
        if state["names"]:
            self._open(tuple(state["names"]), device)
            self._rows[: len(state["steps"])] = state["rows"]
        self._steps, self._count = list(state["steps"]), state["count"]
        self._totals = list(state["totals"])

    def _open(self, names: tuple[str, ...], device: torch.device) -> None:
        self._names = names
        self._rows = torch.zeros(self._capacity, len(names), device=device)
        self._places = self._rows.unbind(0)

    def _fold(self) -> None:
        """Add the rows to the totals, to make room."""
        if not self._steps:
            return
        self.check()
        sums = self._rows[: len(self._steps)].double().sum(0).tolist()
        totals = self._totals or [0.0] * len(sums)
        self._totals = [total + more for total, more in zip(totals, sums, strict=True)]
        self._count += len(self._steps)
        self._steps = []
