"""What the loop, the judge and the server know of a model: the whole of what a plugin is.

Only ``losses`` must be written. What else a model can do it says by having it: a model that
``Samples`` is judged by its samples, one that ``Scores`` by its code length, and so on with each
protocol below; ``operations`` says what of that is exported and served.

A model is built from its config, which a person sets, and the data's ``Spec``, which nobody does.
A model of several players (a GAN's critic and generator) names the submodules that are optimised
apart; the loop gives each an optimiser of its own and asks ``turns`` who moves::

    class GAN(Model):
        players = ("critic", "generator")

        def losses(self, batch, player, step):
            if player == "critic":
                return {"loss": ..., "penalty": ...}
            return {"loss": ...}
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from training.data import Columns, Spec, stream
from training.errors import InputError


class Graph(NamedTuple):
    """An operation as it is served: inputs by name, one example row each, and the output's name.

    ``training.export`` writes it as ONNX; ``components.serving.operations`` says which names there
    are and what they mean.
    """

    module: nn.Module
    inputs: Mapping[str, Tensor]
    output: str


@runtime_checkable
class Samples(Protocol):
    """Can draw images."""

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """(n, *shape), in 0..1; the same generator gives the same."""


@runtime_checkable
class Scores(Protocol):
    """Can say how many bits an image takes."""

    def bits_per_dim(
        self, images: Tensor, draws: int = 16, generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """Bits per pixel value of each stored image, by the name of the estimate.

        ``bits_per_dim`` is always one of them. ``draws`` is for estimates by sampling.
        """


@runtime_checkable
class Reconstructs(Protocol):
    """Can remember images."""

    def reconstruct(self, images: Tensor) -> Tensor:
        """Stored images as the model remembers them, in 0..1."""


@runtime_checkable
class Encodes(Protocol):
    """Has latents that are decoded: what lies between two of them can be drawn."""

    def fractions(self, images: Tensor) -> Tensor:
        """Stored images as rows in 0..1."""

    def encode(self, rows: Tensor, /) -> tuple[Tensor, Tensor]:
        """Mean and log variance of the latents of each row."""

    def decode(self, latents: Tensor, /) -> Tensor:
        """Images in 0..1, (B, *shape)."""


@runtime_checkable
class CountsUnits(Protocol):
    """Can tell how many of its latent units are in use."""

    def active_units(self, images: Tensor) -> int:
        """How many say something of these stored images."""


class Model(nn.Module, ABC):
    """A model that the loop can train. ``config`` and ``spec`` are what it was built from."""

    players: ClassVar[tuple[str, ...]] = ("",)
    """Submodules with an optimiser of their own; "" is the whole model."""
    criterion: ClassVar[str] = "loss"
    """Of validation's numbers, the one that chooses the weights to keep; lower is better."""

    def __init__(self, config: Any, spec: Spec) -> None:
        super().__init__()
        self.config, self.spec = config, spec

    @property
    def levels(self) -> int:
        """How many values the model knows a pixel to take; 0: any in 0..1."""
        return self.spec.levels

    def prepare(self, rows: Columns) -> Columns:
        """Make what ``losses`` takes of rows as stored: all that depends on the data alone."""
        return rows

    def turns(self, step: int) -> tuple[str, ...]:  # noqa: ARG002
        """Who moves in this step, in order; a player may do so several times."""
        return self.players

    @abstractmethod
    def losses(self, batch: Columns, player: str, step: int) -> dict[str, Tensor]:
        """``loss``, which the player lowers, and whatever else is worth a curve: scalars, all.

        Means over the rows, so that processes can share a batch; for the same reason noise comes
        from ``training.parallel.normal_like``.
        """

    def derived(self, means: dict[str, float]) -> dict[str, float]:  # noqa: ARG002
        """Further numbers that follow from the means of the losses."""
        return {}

    def operations(self) -> dict[str, Graph]:
        """What can be served: any of sample, reconstruct and score."""
        return {}


def build(path: str, config: Any, spec: Spec, seed: int) -> Model:
    """Make the model "module:Class" with the weights that a seed stands for. Raises InputError."""
    torch.manual_seed(stream(seed, "weights"))
    model: Model = find(path)(config, spec)
    return model


def find(path: str) -> type[Model]:
    """The class called "module:Class", which must be one of ours. Raises InputError."""
    module, _, name = path.partition(":")
    inside = module.removeprefix("training.models.")
    if inside == module:
        raise InputError(f"{path} is no model of this code; only its own are loaded")
    try:  # the package by name, so that a cache of steps sees how far this reaches
        found = getattr(importlib.import_module(f"training.models.{inside}"), name)
    except (ImportError, AttributeError):
        raise InputError(f"{path} is no model of this code") from None
    if not (isinstance(found, type) and issubclass(found, Model)):
        raise InputError(f"{path} is no model")
    return found


def named(player: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers of one of several players by names of its own."""
    return {f"{player}/{name}" if player else name: value for name, value in values.items()}
