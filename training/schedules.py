"""What changes with the step, as plain functions of it: nothing here remembers anything.

A setting of type ``Scheduled`` is a number, or ``{"ramp": [0, 4, 1000]}``: from 0 to 4 in a
straight line over the first 1000 steps, and 4 from there on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Shape = Literal["fixed", "cosine", "onecycle", "plateau"]

RISE, FROM, TO = 0.3, 1 / 25, 1 / 250_000
"""One cycle as Smith & Topin 2018 and torch run it: a rise over 30 % of the steps from 1/25 of the
peak, then down to next to nothing."""


@dataclass(frozen=True)
class Ramp:
    """A straight line from the first value to the second over so many steps, then the second."""

    ramp: tuple[float, float, int]

    def __post_init__(self) -> None:
        if self.ramp[2] < 1:
            raise ValueError(f"a ramp lasts one step or more, not {self.ramp[2]}")

    def at(self, step: int) -> float:
        """Its value at a step, counted from 0."""
        start, end, steps = self.ramp
        return start + (end - start) * min(1.0, step / steps)


Scheduled = float | Ramp


def value(scheduled: Scheduled, step: int) -> float:
    """The number that holds at a step, counted from 0."""
    return scheduled.at(step) if isinstance(scheduled, Ramp) else scheduled


def rate(shape: Shape, step: int, steps: int, warmup: int) -> float:
    """What the learning rate is multiplied with at ``step`` of ``steps``.

    A rise of ``warmup`` steps comes first; with ``onecycle`` it is that cycle's own, of 30 % where
    ``warmup`` is 0. ``plateau`` is fixed here: what it has seen lies in the loop's state.
    """
    if shape == "onecycle":
        top = (warmup or RISE * steps) - 1
        if step <= top:
            return _swing(FROM, 1.0, step / top if top > 0 else 1.0)
        return _swing(1.0, TO, (step - top) / max(steps - 1 - top, 1e-9))
    if step < warmup:
        return (step + 1) / warmup
    if shape == "cosine":
        return _swing(1.0, 0.0, (step - warmup) / max(steps - warmup, 1))
    return 1.0


def _swing(start: float, end: float, share: float) -> float:
    """From start to end along half a cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * min(share, 1.0))) / 2
