"""Prepared data in memory: what is refused, what is set aside, the order of batches."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from tests.prepared import digits, small, write_digits
from training import data
from training.data import Batches, Columns
from training.errors import InputError

Array = npt.NDArray[Any]


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    return write_digits(tmp_path / "digits")


def change(directory: Path, **fields: object) -> None:
    file = directory / "schema.json"
    described = json.loads(file.read_text())
    file.write_text(json.dumps({**described, **fields}))


def rewrite(directory: Path, change: Callable[[Any], Any]) -> None:
    file = directory / "train.parquet"
    table = pq.read_table(file)
    pq.write_table(change(table), file)


def with_pixels(table: Any, kind: str, change: Callable[[Array], object]) -> Any:
    values = table["image"].combine_chunks().flatten().to_numpy().copy().astype(kind)
    change(values)
    column = pa.FixedSizeListArray.from_arrays(pa.array(values), 64)
    return table.set_column(0, "image", column)


def test_digits_as_they_are_prepared(prepared: Path) -> None:
    found = data.load(prepared)
    assert found.spec == digits().spec
    assert (found.spec.name, found.spec.shape, found.spec.levels) == ("digits", (1, 8, 8), 17)
    assert found.train["image"].shape == (1347, 1, 8, 8)
    assert found.test["image"].shape == (450, 1, 8, 8)
    assert found.train["image"].dtype == torch.uint8
    assert int(found.train["image"].max()) == 16
    assert set(found.train["label"].tolist()) == set(range(10))
    assert found.digest() == digits().digest()


def test_the_digest_is_of_the_training_rows() -> None:
    other = small()
    other.train["image"][3, 0, 0, 0] ^= 1
    assert small().digest() == small().digest() != other.digest()


def test_pixels_of_any_value(prepared: Path) -> None:
    rewrite(prepared, lambda table: with_pixels(table, "float32", lambda v: v.__itruediv__(16)))
    (prepared / "test.parquet").write_bytes((prepared / "train.parquet").read_bytes())
    change(prepared, levels=0, splits={
        part: {"file": f"{part}.parquet", "rows": 1347} for part in ("train", "test")
    })  # fmt: skip
    found = data.load(prepared)
    assert found.train["image"].dtype == torch.float32
    assert float(found.train["image"].max()) == 1


def spoil(value: float) -> Callable[[Array], None]:
    return lambda values: values.__setitem__(64 * 5 + 3, value)


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (lambda d: (d / "schema.json").unlink(), "is no prepared data set"),
        (lambda d: (d / "schema.json").write_text("{"), "cannot be read"),
        (lambda d: change(d, format=2), "is not of format 1"),
        (lambda d: change(d, modality="text"), "holds text; no recipe trains on it"),
        (lambda d: change(d, shape=[1, 8, 9]), r"not of the shape \[1, 8, 9\]"),
        (lambda d: change(d, levels=0), "not of float32 as its levels say"),
        (lambda d: change(d, levels=5), "row 0 holds a pixel outside of 0..4"),
        (lambda d: change(d, classes=["0"]), "has the label .*, not one of 0..0"),
        (lambda d: (d / "test.parquet").unlink(), "test.parquet is missing"),
        (lambda d: (d / "train.parquet").write_bytes(b""), "train.parquet is damaged"),
        (
            lambda d: (d / "train.parquet").write_bytes((d / "train.parquet").read_bytes()[:-9]),
            "train.parquet is damaged",
        ),
        (lambda d: rewrite(d, lambda t: t[:10]), "holds 10 rows, schema.json says 1347"),
        (lambda d: rewrite(d, lambda t: t.drop(["image"])), "lacks what prepare writes"),
        (
            lambda d: rewrite(d, lambda t: t.set_column(1, "label", pa.nulls(1347, pa.int64()))),
            "train.parquet holds rows without a value",
        ),
        (
            lambda d: rewrite(d, lambda t: t.set_column(1, "label", t["label"].cast("int8"))),
            "label is int8, not int64",
        ),
        (
            lambda d: rewrite(d, lambda t: with_pixels(t, "uint8", spoil(17))),
            "row 5 holds a pixel outside of 0..16",
        ),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(
    prepared: Path, harm: Callable[[Path], object], sentence: str
) -> None:
    harm(prepared)
    with pytest.raises(InputError, match=sentence) as error:
        data.load(prepared)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("value", [float("nan"), -0.1, 1.1])
def test_a_pixel_that_is_no_fraction_is_refused_by_row(prepared: Path, value: float) -> None:
    def fractions(values: Array) -> None:
        values /= 16
        spoil(value)(values)

    rewrite(prepared, lambda table: with_pixels(table, "float32", fractions))
    change(prepared, levels=0)
    with pytest.raises(InputError, match=r"row 5 holds a pixel outside of 0\.\.1"):
        data.load(prepared)


def test_a_tenth_is_set_aside_and_always_the_same() -> None:
    train, aside = digits().set_aside(0.1)
    again, _ = digits().set_aside(0.1)
    assert (data.count(train), data.count(aside)) == (1212, 135)
    assert torch.equal(train["image"], again["image"])
    rows = torch.cat([train["image"], aside["image"]]).flatten(1)
    assert sorted(rows.tolist()) == sorted(digits().train["image"].flatten(1).tolist())


def test_the_least_that_can_be_set_aside() -> None:
    assert data.count(small(rows=3).set_aside(0.01)[1]) == 1
    assert data.count(small(rows=1).set_aside(0)[0]) == 1
    with pytest.raises(InputError, match="1 training rows, too few"):
        small(rows=1).set_aside(0.1)


# Batches


def numbered(rows: int, width: int = 1) -> Columns:
    return {"row": torch.arange(rows)[:, None].expand(rows, width).contiguous()}


def drawn(batches: Batches, n: int) -> list[list[int]]:
    return [batches.next()["row"][:, 0].tolist() for _ in range(n)]


def in_a_row(batches: Batches, n: int) -> list[int]:
    return [row for batch in drawn(batches, n) for row in batch]


def test_an_epoch_has_every_row_once_in_an_order_of_its_own() -> None:
    batches = Batches(numbered(23), 5, seed=1, prepare=lambda rows: rows)
    first, second = (in_a_row(batches, 4) for _ in range(2))
    assert len(set(first)) == len(first) == 20
    assert first != second
    assert first == in_a_row(Batches(numbered(23), 5, 1, lambda rows: rows), 4)
    assert first != in_a_row(Batches(numbered(23), 5, 2, lambda rows: rows), 4)


def test_fewer_rows_than_a_batch_are_a_batch() -> None:
    batches = Batches(numbered(3), 64, seed=0, prepare=lambda rows: rows)
    assert [sorted(batch) for batch in drawn(batches, 3)] == [[0, 1, 2]] * 3


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("stop", [0, 1, 3, 4, 7, 11])
def test_the_order_can_be_taken_up_again_anywhere(
    stop: int, large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if large:  # too large to be prepared at once: three batches a chunk
        monkeypatch.setattr(data, "_KEPT", 10)
        monkeypatch.setattr(data, "_CHUNK", 3 * 5 * 2)

    def double(rows: Columns) -> Columns:
        return {"row": rows["row"] * 2}

    whole = drawn(Batches(numbered(23, 2), 5, 1, double), 20)
    before = Batches(numbered(23, 2), 5, 1, double)
    drawn(before, stop)
    after = Batches(numbered(23, 2), 5, 99, double)
    after.restore(before.state())
    assert drawn(after, 20 - stop) == whole[stop:]
    assert drawn(before, 20 - stop) == whole[stop:]
    assert all(row % 2 == 0 for batch in whole for row in batch)


def test_large_data_is_ordered_as_small_data_is(monkeypatch: pytest.MonkeyPatch) -> None:
    small_order = drawn(Batches(numbered(23), 5, 1, lambda rows: rows), 9)
    monkeypatch.setattr(data, "_KEPT", 0)
    monkeypatch.setattr(data, "_CHUNK", 11)
    assert drawn(Batches(numbered(23), 5, 1, lambda rows: rows), 9) == small_order


def test_chances_of_one_run_do_not_run_alike() -> None:
    kinds: list[Literal["weights", "order", "noise"]] = ["weights", "order", "noise"]
    assert len({data.stream(seed, kind) for seed in range(50) for kind in kinds}) == 150
