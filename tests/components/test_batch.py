"""Answers for a whole data set, without a server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from components import batch
from components.serving.operations import Model
from pipelines import compile
from tests.components.serving.asking import (  # noqa: F401  fixtures work by being here
    made_directory,
)
from tests.infra.azure.lowering import lowered, plan_of, wrong
from tests.prepared import write_digits
from tests.served import ROOT, write_model
from training.data import load
from training.errors import InputError


@pytest.fixture(scope="module", name="dataset")
def made_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The digits, prepared."""
    return write_digits(tmp_path_factory.mktemp("digits"))


def _answered(folder: Path, *arguments: str) -> Any:
    batch.main([*arguments, "--answers", str(folder / "answers")])
    return pq.read_table(folder / "answers/answers.parquet")


def test_each_held_out_row_gets_the_answer_that_a_server_gives(
    directory: Path, dataset: Path, tmp_path: Path
) -> None:
    """Whoever scores a million rows must get what the endpoint says of one."""
    own = ("--model", str(directory), "--dataset", str(dataset))
    model, held_out = Model(directory), load(dataset).test["image"].numpy()
    rows = (held_out.astype(np.float32) / np.float32(16)).reshape(-1, 8, 8)
    scored = _answered(tmp_path / "a", *own, "--seed", "3")["bits_per_dim"].to_numpy()
    assert np.array_equal(scored, model.score(rows, 3))
    rebuilt = _answered(tmp_path / "b", *own, "--operation", "reconstruct")["image"]
    assert len(rebuilt) == len(rows)
    assert np.allclose(rebuilt[0].as_py(), model.reconstruct(rows[:1]).reshape(-1))
    drawn = _answered(tmp_path / "c", *own, "--operation", "sample", "--n", "5")["image"]
    assert np.allclose(drawn[4].as_py(), model.sample(model.draw(5, 0))[4].reshape(-1))


def test_data_of_another_shape_are_refused(dataset: Path, tmp_path: Path) -> None:
    """ONNX Runtime's own words name a tensor that nobody knows."""
    other = write_model(tmp_path / "model", shape=(4, 4))
    with pytest.raises(InputError, match=r"the model takes \[4, 4\]"):
        _answered(tmp_path, "--model", str(other), "--dataset", str(dataset))
    assert not (tmp_path / "answers").exists()


@pytest.mark.parametrize("flag", ["--n", "--seed"])
def test_a_number_that_cannot_be_is_refused(
    directory: Path, dataset: Path, tmp_path: Path, flag: str
) -> None:
    """numpy's own words would come as a traceback, from a machine that was paid for."""
    own = ("--model", str(directory), "--dataset", str(dataset), "--operation", "sample")
    with pytest.raises(InputError, match=f"{flag} is -1; it is at least"):
        _answered(tmp_path, *own, flag, "-1")
    assert not (tmp_path / "answers").exists()


def test_the_pipeline_of_batches_goes_where_any_goes(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """It stands for a batch endpoint: what Azure would refuse of it is found here."""
    folder = tmp_path_factory.getbasetemp().parent / "batch-ir"
    document = compile.load(str(ROOT / "pipelines/batch.py"), folder)
    plan = plan_of(document, model_name="digits-vae", version="1")
    assert [step.name for step in plan.steps] == ["fetch", "prepare", "batch"]
    assert wrong(lowered(plan)) == []
