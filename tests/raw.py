"""Data as people have it, whole and spoilt, for prepare to read."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from components import contract, prepare

RNG = np.random.default_rng(0)

GREY = RNG.integers(0, 256, (20, 4, 4)).astype(np.uint8)

LABELS = np.arange(20) % 2

Make = Callable[[Path], Path]


def run(data: object, out: Path, *more: str) -> int:
    argv = ["--data", str(data), "--dataset", str(out), *more]
    with pytest.raises(SystemExit) as ended:
        contract.run(lambda: prepare.main(argv))
    assert isinstance(ended.value.code, int)
    return ended.value.code


def written(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.iterdir())}


def schema_of(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "schema.json").read_text())
    return found


def npz(**stored: Any) -> Make:
    def make(folder: Path) -> Path:
        np.savez(folder / "d.npz", **stored)
        return folder / "d.npz"

    return make


def parquet(**columns: Any) -> Make:
    def make(folder: Path) -> Path:
        pq.write_table(pa.table(columns), folder / "d.parquet", row_group_size=6)
        return folder / "d.parquet"

    return make


def content(name: str, raw: bytes) -> Make:
    def make(folder: Path) -> Path:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(raw)
        return folder / Path(name).parts[0]

    return make


def pictures(*, size: int = 4, mode: str = "L", **others: tuple[int, str]) -> Make:
    """A folder of one class and, by name, pictures of another size and mode in it."""

    def make(folder: Path) -> Path:
        (folder / "pics" / "cat").mkdir(parents=True)
        for name in ("1", "2", "3"):
            each, kind = others.get(f"p{name}", (size, mode))
            Image.new(kind, (each, each)).save(folder / "pics" / "cat" / f"{name}.png")
        return folder / "pics"

    return make


def within(name: str, raw: bytes | None) -> Make:
    """A folder of pictures with one more file, or an empty folder."""

    def make(folder: Path) -> Path:
        data = pictures()(folder)
        if raw is None:
            (data / name).mkdir(parents=True)
        else:
            (data / name).parent.mkdir(parents=True, exist_ok=True)
            (data / name).write_bytes(raw)
        return data

    return make


def cut(make: Make, size: int) -> Make:
    def shortened(folder: Path) -> Path:
        file = make(folder)
        file.write_bytes(file.read_bytes()[:size])
        return file

    return shortened


def holding(value: float, row: int = 7, kind: str = "float32") -> Any:
    pixels = (GREY / 256).astype(kind)
    pixels[row, 1, 2] = value
    return pixels


def labels(value: float, row: int = 7) -> Any:
    found = LABELS.astype(int if float(value).is_integer() else float)
    found[row] = value
    return found


def png(size: int) -> bytes:
    raw = io.BytesIO()
    Image.fromarray(RNG.integers(0, 256, (size, size)).astype(np.uint8)).save(raw, "PNG")
    return raw.getvalue()


PNG, SMALL = png(40), png(4)
