"""Model directories that cannot be served, and what the server needs to serve one."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from components import serve
from tests.components.serving.asking import (  # noqa: F401  fixtures work by being here
    made_directory,
)
from tests.served import ROOT, write_model
from training.errors import InputError


def with_card(**changes: object) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        file = folder / "serving.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda folder: (folder / "serving.json").unlink(), "has no serving.json"),
        (lambda folder: (folder / "serving.json").write_text("{"), "cannot be read"),
        (lambda folder: (folder / "serving.json").write_text("[]"), "not of format 1"),
        (with_card(format=2), "not of format 1"),
        (with_card(shape=[8, "8"]), "shape is the list"),
        (with_card(shape=[2**20, 2**20]), "beyond"),
        (with_card(levels=1), "levels is a whole number"),
        (with_card(operations={"dance": "sample.onnx"}), "operations maps any of"),
        (with_card(operations={"sample": "../m/sample.onnx"}), "not the name of a file beside it"),
        (with_card(operations={"sample": "score.onnx"}), "no input z"),
        (with_card(shape=[4, 4]), "gives [1, 8, 8] for one row where sample wants [1, 4, 4]"),
        (lambda folder: (folder / "sample.onnx").unlink(), "sample.onnx cannot be loaded"),
        (lambda folder: (folder / "sample.onnx").write_bytes(b"junk"), "sample.onnx cannot be"),
        (lambda folder: os.truncate(folder / "sample.onnx", 900), "sample.onnx cannot be loaded"),
    ],
)
def test_a_model_that_cannot_be_served(
    tmp_path: Path, change: Callable[[Path], object], words: str
) -> None:
    """Which file is wrong, and how, before any traffic comes."""
    folder = write_model(tmp_path / "m")
    change(folder)
    with pytest.raises(InputError) as caught:
        serve.load(folder, 1)
    assert words in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_files_of_the_image_serve_without_torch_or_mlflow(
    directory: Path, tmp_path: Path
) -> None:
    """An image that lacks a file never starts; one with torch is five times as large."""
    text = (ROOT / "infra/images/server.Dockerfile").read_text()
    for line in re.findall(r"(?m)^COPY ((?:components|training).*)", text):
        *sources, target = line.split()
        for source in sources:
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, tmp_path / target)
            else:
                (tmp_path / target).mkdir(exist_ok=True)
                shutil.copy(ROOT / source, tmp_path / target)
    code = (
        "import sys; from pathlib import Path; from components import serve\n"
        "import components.serving.app, components.serving.handover, components.serving.server\n"
        f"model, _ = serve.load(Path({str(directory)!r}), 1)\n"
        "model.sample(model.draw(1, 0))\n"
        "heavy = {'torch', 'mlflow', 'sklearn', 'pyarrow', 'onnx', 'kfp', 'pydantic', 'PIL'}\n"
        "print(sorted(heavy & {name.partition('.')[0] for name in sys.modules}))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert (ended.stdout, ended.stderr) == ("[]\n", "")
