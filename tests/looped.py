"""Models as small as can be, for the loop to train: one of two players, one of one weight."""

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from tests.prepared import small
from training import recipes
from training.configs import LoopConfig
from training.data import Columns, Spec
from training.model import Model, build


class Duel(Model):
    """A GAN: the critic moves twice, the generator once, and only every second step."""

    players: ClassVar[tuple[str, ...]] = ("critic", "generator")
    criterion = "generator/loss"

    def __init__(self, config: Any, spec: Spec) -> None:
        super().__init__(config, spec)
        self.critic = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))
        self.generator = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.2), nn.ReLU(), nn.Linear(8, 6))
        self.moves: list[str] = []

    def prepare(self, rows: Columns) -> Columns:
        return {"x": rows["image"].flatten(1) / 4}

    def turns(self, step: int) -> tuple[str, ...]:
        return ("critic", "critic", "generator") if step % 2 else ("critic", "critic")

    def losses(self, batch: Columns, player: str, step: int) -> dict[str, Tensor]:
        self.moves.append(player)
        made = self.generator(torch.randn(len(batch["x"]), 3))
        if player == "generator":
            return {"loss": -self.critic(made).mean()}
        real, fake = self.critic(batch["x"]).mean(), self.critic(made.detach()).mean()
        return {"loss": fake - real, "gap": real - fake}


class Line(Model):
    """One weight, pulled to the mean of the pixels; says what it is told to in validation."""

    def __init__(self, config: Any, spec: Spec) -> None:
        super().__init__(config, spec)
        self.weight = nn.Parameter(torch.zeros(1))
        self.says: Callable[[int], float] = lambda _: 0.0
        self.rates: list[float] = []

    def prepare(self, rows: Columns) -> Columns:
        return {"x": rows["image"].flatten(1).float()}

    def losses(self, batch: Columns, player: str, step: int) -> dict[str, Tensor]:
        loss = (self.weight - batch["x"]).square().mean()
        return {"loss": loss if self.training else 0 * loss + self.says(step)}


def line(says: Callable[[int], float] = lambda _: 0.0) -> Line:
    made = Line(None, small().spec)
    made.says = says
    return made


def duel(seed: int = 0) -> Duel:
    torch.manual_seed(seed)
    return Duel(None, small().spec)


def vae(seed: int = 0) -> Model:
    recipe = recipes.configure("vae", {"hidden": 8, "latent": 2, "dropout": 0.1})
    return build(recipe.model, recipe.config, small().spec, seed)


def config(**settings: Any) -> LoopConfig:
    return LoopConfig(
        **{"steps": 60, "batch_size": 8, "validate_every": 10, "log_every": 7, **settings}
    )
