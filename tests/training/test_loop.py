"""The loop: that it hosts several players, stops, keeps, and goes on in the same bits."""

import copy
import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from tests.prepared import small
from training import recipes
from training.checkpoint import Checkpoints
from training.configs import LoopConfig
from training.data import Columns, Spec
from training.errors import InputError
from training.loop import Diverged, Interrupted, Loop, Outcome, Point
from training.model import Model, build
from training.schedules import Ramp


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


def test_each_player_moves_in_its_turn_by_its_own_loss() -> None:
    model = duel()
    before = copy.deepcopy(model.state_dict())
    Loop(model, small(), config(steps=1, validation=0), 0).run()
    assert model.moves == ["critic", "critic"]
    moved = {n for n, t in model.state_dict().items() if not torch.equal(t, before[n])}
    assert {name.partition(".")[0] for name in moved} == {"critic"}


def test_players_have_curves_of_their_own() -> None:
    outcome = Loop(duel(), small(), config(steps=20), 0).run()
    for part in ("train", "validation"):
        assert {"critic/loss", "critic/gap", "generator/loss"} <= outcome.curves[part].keys()


def test_a_player_without_a_turn_leaves_a_gap_in_its_curve() -> None:
    outcome = Loop(duel(), small(), config(steps=4, log_every=1, validation=0), 0).run()
    train = outcome.curves["train"]
    assert [value is None for value in train["generator/loss"]] == [True, False, True, False]
    assert {len(column) for column in train.values()} == {4}


def test_it_minimises() -> None:
    model = line()
    outcome = Loop(model, small(), config(steps=300, lr=0.1, validation=0), 0).run()
    mean = small().train["image"].float().mean()
    assert float(model.weight.detach()) == pytest.approx(float(mean), abs=0.2)
    assert outcome.steps == outcome.best_step == 300


def rates(**settings: Any) -> list[float | None]:
    points = config(steps=20, log_every=1, lr=0.1, **settings)
    return Loop(line(lambda _: 1.0), small(), points, 0).run().curves["train"]["lr"]


def test_the_learning_rate_follows_its_schedule() -> None:
    assert rates(warmup=4)[:5] == pytest.approx([0.025, 0.05, 0.075, 0.1, 0.1])
    cosine = [0.05 * (1 + math.cos(math.pi * step / 20)) for step in range(20)]
    assert rates(schedule="cosine") == pytest.approx(cosine)


def test_plateau_halves_the_rate_where_validation_stands_still() -> None:
    found = rates(schedule="plateau", plateau=2, validate_every=3)
    # Validations after steps 3, 6, 9, ...: the first is the best, the third and fifth halve.
    assert found == pytest.approx([0.1] * 9 + [0.05] * 6 + [0.025] * 5)


def test_any_number_may_be_a_ramp() -> None:
    settings = config(steps=10, log_every=1, lr=Ramp((0.0, 0.1, 10)), clip=Ramp((1.0, 2.0, 5)))
    found = Loop(line(), small(), settings, 0).run().curves["train"]["lr"]
    assert found == pytest.approx([0.01 * step for step in range(10)])


def test_the_weights_of_the_best_validation_are_kept() -> None:
    seen: dict[int, float] = {}
    model = line(lambda step: abs(step - 30))

    def note(point: Point) -> None:
        if point.part == "validation":
            seen[point.step] = float(model.weight.detach())

    outcome = Loop(model, small(), config(lr=0.1), 0, report=note).run()
    assert outcome.best_step == 30
    assert float(model.weight.detach()) == seen[30] != seen[60]


def test_it_ends_when_validation_has_not_improved_for_long_enough() -> None:
    outcome = Loop(line(lambda step: abs(step - 20)), small(), config(patience=3), 0).run()
    assert (outcome.best_step, outcome.steps) == (20, 50)
    assert outcome.curves["validation"]["step"] == [10, 20, 30, 40, 50]


def test_the_average_is_validated_and_kept() -> None:
    plain, averaged = line(), line()
    for model, ema in ((plain, 0.0), (averaged, 0.9)):
        Loop(model, small(), config(lr=0.05, ema=ema, steps=24, validation=0), 0).run()
    assert 0 < float(averaged.weight.detach()) < float(plain.weight.detach())
    again = line(lambda step: -step)  # the last is the best
    Loop(again, small(), config(lr=0.05, ema=0.9, steps=24), 0).run()
    assert float(again.weight.detach()) == pytest.approx(float(averaged.weight.detach()), abs=0.01)


def test_validation_leaves_no_trace() -> None:
    models = [vae(), vae()]
    # With no better validation after the first, what is kept would differ: so look at the curves.
    curves = [
        Loop(model, small(), config(validate_every=every, log_every=1), 0).run().curves["train"]
        for model, every in zip(models, (1, 1000), strict=True)
    ]
    assert curves[0] == curves[1]


def test_the_last_step_is_logged_and_validated() -> None:
    outcome = Loop(line(), small(), config(steps=12), 0).run()
    assert outcome.curves["train"]["step"] == [7, 12]
    assert outcome.curves["validation"]["step"] == [10, 12]


# Divergence


class Breaks(Line):
    """Its loss is NaN at one step, whatever the weights."""

    at = 23

    def losses(self, batch: Columns, player: str, step: int) -> dict[str, Tensor]:
        found = super().losses(batch, player, step)
        return {"loss": found["loss"] + (math.nan if step == self.at - 1 else 0)}


@pytest.mark.parametrize("seconds", [0.0, 1000.0])
def test_a_nan_ends_it_with_its_step_and_the_last_good_checkpoint(
    tmp_path: Path, seconds: float
) -> None:
    kept = Checkpoints(tmp_path, "f", print)
    settings = config(checkpoint_seconds=seconds, validation=0)
    with pytest.raises(Diverged, match="loss is nan at step 23, with a learning rate") as error:
        Loop(Breaks(None, small().spec), small(), settings, 0, checkpoints=kept).run()
    told = "the checkpoint of step 22 is kept" if seconds == 0 else "none was saved"
    assert told in str(error.value)
    found = kept.newest()
    assert (found["step"] if found else None) == (22 if seconds == 0 else None)


def test_a_nan_in_validation_ends_it_too() -> None:
    with pytest.raises(Diverged, match="validation's loss is nan at step 10"):
        Loop(line(lambda _: math.nan), small(), config(), 0).run()


def test_a_weight_that_is_none_is_never_saved(tmp_path: Path) -> None:
    class Hides(Line):
        def losses(self, batch: Columns, player: str, step: int) -> dict[str, Tensor]:
            # The root's slope at 0 is infinite, and 0 times that NaN: the loss itself looks well.
            found = super().losses(batch, player, step)
            if step == 4:
                found["loss"] = found["loss"] + (self.weight - self.weight).square().sum().sqrt()
            return found

    kept = Checkpoints(tmp_path, "f", print)
    settings = config(checkpoint_seconds=0, validation=0)
    with pytest.raises(Diverged, match=r"a weight.* is nan at step 5"):
        Loop(Hides(None, small().spec), small(), settings, 0, checkpoints=kept).run()
    found = kept.newest()
    assert found is not None
    assert found["step"] == 4


def test_diverging_is_bad_input_since_it_would_happen_again() -> None:
    assert issubclass(Diverged, InputError)


# Going on


def same(a: Outcome, b: Outcome) -> bool:
    return (a.steps, a.best_step, a.curves) == (b.steps, b.best_step, b.curves)


def same_weights(a: Model, b: Model) -> bool:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.equal(*pair) for pair in pairs)


KINDS: dict[str, tuple[Callable[[int], Model], dict[str, Any]]] = {
    "plain": (vae, {"validation": 0}),
    "all": (vae, {"ema": 0.9, "schedule": "onecycle", "clip": 1.0, "weight_decay": 0.1}),
    "plateau": (vae, {"schedule": "plateau", "plateau": 1, "lr": 0.05, "ema": 0.5}),
    "patience": (vae, {"patience": 1, "lr": 0.1, "steps": 200}),
    "players": (duel, {"ema": 0.9, "warmup": 20}),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stops", [(1,), (7,), (9, 10, 11), (20, 39), (59,)])
def test_a_run_that_was_stopped_ends_in_the_same_bits(
    kind: str, stops: tuple[int, ...], tmp_path: Path
) -> None:
    make, settings = KINDS[kind]
    whole = make(0)
    expected = Loop(whole, small(), config(**settings), 0).run()

    kept = Checkpoints(tmp_path, "f", print)
    reported: list[Point] = []

    def attempt(stop: int) -> tuple[Model, Outcome]:
        """As a new process does it: chance stands elsewhere, weights too once there are others."""
        found = kept.newest()
        done = found["step"] if found else 0
        model = make(99 if found else 0)
        torch.rand(stop)
        calls = itertools.count(done + 1)
        loop = Loop(
            model, small(), config(**settings), 0, checkpoints=kept, report=reported.append,
            stop=lambda: next(calls) >= stop,
        )  # fmt: skip
        return model, loop.run()

    for stop in stops:
        if stop < expected.steps:
            with pytest.raises(Interrupted, match=f"at step {stop}, saved"):
                attempt(stop)
    resumed, outcome = attempt(1000)
    assert same(outcome, expected)
    assert same_weights(resumed, whole)
    assert outcome.resumed_at == max((s for s in stops if s < expected.steps), default=0)
    steps = [point.step for point in reported if point.part == "train"]
    assert steps == expected.curves["train"]["step"]  # nothing is reported twice


def test_a_checkpoint_after_every_step_changes_nothing(tmp_path: Path) -> None:
    saved: list[int] = []
    models = [vae(), vae()]
    kept = Checkpoints(tmp_path, "f", print)
    often = config(checkpoint_seconds=0, ema=0.9)
    outcomes = [
        Loop(models[0], small(), config(ema=0.9), 0).run(),
        Loop(
            models[1], small(), often, 0, checkpoints=kept, before_save=lambda: saved.append(1)
        ).run(),
    ]
    assert same(*outcomes)
    assert same_weights(*models)
    assert len(saved) == 59


def test_without_a_place_to_save_it_stops_all_the_same() -> None:
    with pytest.raises(Interrupted, match="at step 1, with nowhere to save it"):
        Loop(line(), small(), config(), 0, stop=lambda: True).run()


def test_another_seed_is_another_run() -> None:
    models = [vae(), vae()]
    curves = [Loop(m, small(), config(), seed).run().curves for seed, m in enumerate(models)]
    assert curves[0] != curves[1]
