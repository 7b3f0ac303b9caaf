"""What a person may set, typed: the loop's settings and each model's. Imports no torch.

A field of either is a setting of the recipe (``--param beta=2``), so no name occurs in both. What
data decides (shapes, levels, classes) is no setting. Ranges are checked when a config is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from training.schedules import Ramp, Scheduled, Shape

_FINITE: dict[str, Any] = {"allow_inf_nan": False}
_MANY = 1 << 31


class Ranged:
    """Holds a config to ``RANGES``: the least and the most that each number may be."""

    RANGES: ClassVar[Mapping[str, tuple[float, float]]] = {}
    __pydantic_config__: ClassVar[dict[str, Any]] = _FINITE

    def __post_init__(self) -> None:
        for name, (least, most) in self.RANGES.items():
            found = getattr(self, name)
            for number in found.ramp[:2] if isinstance(found, Ramp) else (found,):
                if not least <= number <= most:
                    limit = f"at least {least:g}" if number < least else f"at most {most:g}"
                    raise ValueError(f"{name} is {number:g}; it must be {limit}")


@dataclass(frozen=True)
class LoopConfig(Ranged):
    """How any model is trained."""

    steps: int = 2000
    """Steps at most; early stopping may end it before."""
    batch_size: int = 64
    lr: Scheduled = 1e-3
    """Learning rate, at its peak where a schedule moves it."""
    schedule: Shape = "fixed"
    """``plateau`` halves the rate where validation stands still."""
    warmup: int = 0
    """Steps over which the learning rate rises to its place."""
    plateau: int = 5
    """Validations without a better one after which ``plateau`` halves the rate."""
    clip: Scheduled = 0.0
    """Largest norm of a gradient; a larger one is scaled down to it. 0: as it comes."""
    weight_decay: Scheduled = 0.0
    """Decoupled, as in AdamW."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Adam's memory of gradients and of their squares."""
    ema: float = 0.0
    """Decay per step of the average of the weights, which is then what is kept. 0: none."""
    validation: float = 0.1
    """Share of the training rows set aside to choose the weights that are kept. 0: the last."""
    validate_every: int = 100
    patience: int = 0
    """Validations without a better one after which training ends. 0: never."""
    log_every: int = 50
    """Steps whose mean is one point of the curves."""
    checkpoint_seconds: float = 30.0
    """0: after every step."""
    threads: int = 1
    """Of the processor; another number rounds differently, and a run repeats itself only on as
    many."""

    RANGES: ClassVar[Mapping[str, tuple[float, float]]] = {
        "steps": (1, _MANY), "batch_size": (1, _MANY), "lr": (0, 10), "warmup": (0, _MANY),
        "plateau": (1, _MANY), "clip": (0, 1e9), "weight_decay": (0, 100), "ema": (0, 0.999999),
        "validation": (0, 0.9), "validate_every": (1, _MANY), "patience": (0, _MANY),
        "log_every": (1, 100_000), "checkpoint_seconds": (0, 1e9), "threads": (1, 1024),
    }  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas are {list(self.betas)}; each must be at least 0 and below 1")
        if self.validation == 0 and self.patience:
            raise ValueError(
                f"patience is {self.patience}, but validation is 0; set patience to 0 too, or "
                "validation to the share of rows to set aside"
            )
        if self.validation == 0 and self.schedule == "plateau":
            raise ValueError("the schedule plateau needs validation above 0, and it is 0")


@dataclass(frozen=True)
class VAEConfig(Ranged):
    """A VAE of two mirrored MLPs."""

    latent: int = 16
    hidden: int = 256
    """Width of each hidden layer."""
    layers: int = 2
    """Hidden layers of the encoder, and of the decoder."""
    activation: Literal["silu", "relu", "gelu", "tanh"] = "silu"
    dropout: float = 0.0
    likelihood: Literal["auto", "binomial", "logistic"] = "auto"
    """Of a pixel's levels; auto: binomial of few, logistic of more than 32."""
    beta: Scheduled = 1.0
    """Weight of the KL; a ramp anneals it. Other than 1 in the end, it is a beta-VAE."""

    RANGES: ClassVar[Mapping[str, tuple[float, float]]] = {
        "latent": (1, 4096), "hidden": (1, 65536), "layers": (0, 64), "dropout": (0, 0.99),
        "beta": (0, 1e6),
    }  # fmt: skip
