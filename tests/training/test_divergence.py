"""Training that diverges ends with its step, and saves nothing of it."""

import math
from pathlib import Path

import pytest
from torch import Tensor

from tests.looped import Line, config
from tests.prepared import small
from training.checkpoint import Checkpoints
from training.data import Columns
from training.errors import InputError
from training.loop import Diverged, Loop


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
