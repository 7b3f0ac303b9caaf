"""AdamW in one kernel call, clipping within it, and the average of the weights.

Bit for bit ``torch.optim.AdamW(fused=True)``, called without it: making any optimiser of
torch.optim imports the compiler (0.8 to 1 s, as long as torch itself), and its step spends 0.05 to
0.1 ms on what never changes between steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

EPSILON = 1e-8
EVERY = 8
"""Steps between updates of the average: as good as every step, at an eighth of the cost."""


class AdamW:
    """Loshchilov & Hutter 2017 (https://arxiv.org/abs/1711.05101); without decay it is Adam."""

    def __init__(self, parameters: Sequence[nn.Parameter], betas: tuple[float, float]) -> None:
        self.parameters: list[Tensor] = [p for p in parameters if p.requires_grad]
        self._betas = betas
        self._mean = [torch.zeros_like(p) for p in self.parameters]
        self._square = [torch.zeros_like(p) for p in self.parameters]
        self._steps = [torch.zeros((), device=p.device) for p in self.parameters]

    @torch.no_grad()
    def step(
        self, gradients: Sequence[Tensor], rate: float, decay: float = 0.0, clip: float = 0.0
    ) -> None:
        """Move the parameters. ``clip`` above 0 is the largest norm of all gradients together."""
        torch._foreach_add_(self._steps, 1)
        torch._fused_adamw_(
            self.parameters, list(gradients), self._mean, self._square, [], self._steps,
            lr=rate, beta1=self._betas[0], beta2=self._betas[1], weight_decay=decay, eps=EPSILON,
            amsgrad=False, maximize=False,
            grad_scale=_excess(list(gradients), clip) if clip else None,
        )  # fmt: skip

    def tensors(self) -> list[Tensor]:
        """The parameters, and what is remembered of each."""
        return self.parameters + self._mean + self._square

    def state(self) -> dict[str, Any]:
        """What ``restore`` goes on from."""
        return {"mean": self._mean, "square": self._square, "steps": self._steps}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where ``state`` was taken."""
        for name, own in self.state().items():
            for mine, stored in zip(own, state[name], strict=True):
                mine.copy_(stored)


def _excess(gradients: list[Tensor], clip: float) -> Tensor:
    """What to divide the gradients by so that their norm is ``clip`` at most."""
    norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    return (norm / clip).clamp(min=1.0)


class Average:
    """Exponential average of parameters over steps, which is often better than where they are.

    Its memory grows with the steps, to ``decay`` in the end, so that the start is forgotten.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], decay: float) -> None:
        self._parameters: list[Tensor] = list(parameters)
        self._decay = decay
        self._average = [p.detach().clone() for p in parameters]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take the parameters after ``step`` steps in, where it is time to."""
        if step % EVERY == 0:
            decay = min(self._decay, (1 + step) / (10 + step)) ** EVERY
            torch._foreach_lerp_(self._average, self._parameters, 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The model has the average for its parameters meanwhile."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def settle(self) -> None:
        """Leave the average in the model for good."""
        self._swap()

    def state(self) -> list[Tensor]:
        """What ``restore`` goes on from."""
        return self._average

    @torch.no_grad()
    def restore(self, state: Sequence[Tensor]) -> None:
        """Go on where ``state`` was taken."""
        torch._foreach_copy_(self._average, list(state))

    def _swap(self) -> None:
        for parameter, average in zip(self._parameters, self._average, strict=True):
            parameter.data, average.data = average.data, parameter.data
