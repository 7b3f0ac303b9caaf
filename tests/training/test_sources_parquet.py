"""Parquet files as people have them."""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from training.errors import InputError
from training.sources import parquet
from training.sources.examples import Array, Images, Texts

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 4, 4)).astype(np.uint8)
COLOURS = np.random.default_rng(1).integers(0, 256, (20, 4, 5, 3)).astype(np.uint8)


def write(file: Path, rows: int = 7, **columns: object) -> Path:
    """In row groups of a few rows."""
    pq.write_table(pa.table(columns), file, row_group_size=rows)
    return file


def png(pixels: Array) -> bytes:
    raw = io.BytesIO()
    Image.fromarray(pixels).save(raw, "PNG")
    return raw.getvalue()


def pixels_of(file: Path) -> Array:
    found = parquet.read(file, 0).content
    assert isinstance(found, Images)
    return found.pixels


@pytest.mark.parametrize(
    "column",
    [
        PIXELS.tolist(),
        PIXELS.reshape(20, 16).tolist(),
        pa.array(PIXELS.reshape(20, 16).tolist(), pa.list_(pa.uint8(), 16)),
        pa.array(PIXELS.reshape(20, 16).tolist(), pa.large_list(pa.int32())),
        pa.array(PIXELS.tolist(), pa.list_(pa.list_(pa.float64(), 4), 4)),
        [png(each) for each in PIXELS],
        pa.array([png(each) for each in PIXELS], pa.large_binary()),
        [{"bytes": png(each), "path": None} for each in PIXELS],
    ],
    ids=["nested", "flat", "fixed", "large", "fixed-nested", "png", "large-png", "hugging-face"],
)
def test_images_of_every_layout(column: object, tmp_path: Path) -> None:
    np.testing.assert_array_equal(
        pixels_of(write(tmp_path / "d.parquet", image=column))[:, 0], PIXELS
    )


def test_colours_are_nested_with_channels_last(tmp_path: Path) -> None:
    file = write(tmp_path / "d.parquet", images=COLOURS.tolist())
    np.testing.assert_array_equal(pixels_of(file), COLOURS.transpose(0, 3, 1, 2))


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (np.arange(20) % 2, ("0", "1")),
        (["cat", "dog"] * 10, ("cat", "dog")),
        (pa.array(["cat", "dog"] * 10).dictionary_encode(), ("cat", "dog")),
        ([True, False] * 10, ("0", "1")),
    ],
)
def test_labels(labels: object, classes: tuple[str, ...], tmp_path: Path) -> None:
    found = parquet.read(write(tmp_path / "d.parquet", image=PIXELS.tolist(), label=labels), 0)
    assert found.labels is not None
    assert found.labels.classes == classes
    assert found.split.how == "stratified"


def test_texts_with_labels_are_split_by_class_and_without_by_their_tail(tmp_path: Path) -> None:
    texts = [f"text {number}" for number in range(20)]
    found = parquet.read(write(tmp_path / "d.parquet", text=texts), 0)
    assert found.content == Texts(texts)
    assert found.split.how == "tail"
    assert found.split.test.tolist() == [18, 19]
    found = parquet.read(write(tmp_path / "d.parquet", text=texts, label=np.arange(20) % 2), 0)
    assert found.split.how == "stratified"


def test_row_groups_without_rows_do_not_matter(tmp_path: Path) -> None:
    table = pa.table({"image": PIXELS.tolist()})
    with pq.ParquetWriter(tmp_path / "d.parquet", table.schema) as writer:
        for part in (table[:0], table[:5], table[:0], table[5:]):
            writer.write_table(part)
    np.testing.assert_array_equal(pixels_of(tmp_path / "d.parquet")[:, 0], PIXELS)


@given(data=st.data())
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300
)
def test_a_damaged_file_is_read_or_refused_never_more(data: st.DataObject, tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.parquet", image=PIXELS.tolist(), label=np.arange(20) % 2)
    raw = bytearray(whole.read_bytes())
    for _ in range(data.draw(st.integers(0, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    damaged = tmp_path / "damaged.parquet"
    damaged.write_bytes(
        raw[: data.draw(st.integers(0, len(raw)))] if data.draw(st.booleans()) else raw
    )
    said = ""
    try:
        parquet.read(damaged, 0)
    except InputError as error:
        said = str(error)
    assert not said or "damaged.parquet" in said
