"""What train refuses, before it loads torch and before a step is done."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from components import contract, train
from tests.trained import (
    ROOT,
    command,
    made_digits,  # noqa: F401  a fixture works by being here
)
from training.errors import InputError


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (["--recipe", "vea"], "there is no recipe 'vea'; did you mean vae"),
        (["--config", "{"], "--config is not JSON"),
        (["--config", "[]"], r"--config is \[\], not an object"),
        (["--config", '{"step": 5}'], "no setting 'step'; did you mean steps"),
        (["--config", '{"steps": "x"}'], "it must be a whole number"),
        (["--seed", "-1"], "the seed is -1"),
        (["--seed", "1.5"], "invalid int value"),
        (["--dataset", "/nowhere"], "/nowhere is no prepared data set"),
        (["--sede", "1"], "unrecognized arguments"),
    ],
)
def test_bad_input_is_one_sentence(
    digits: Path, tmp_path: Path, change: list[str], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence) as error:
        train.main([*command(digits, tmp_path / "model", {}), *change])
    assert "\n" not in str(error.value)
    assert not (tmp_path / "model").exists()


def test_a_wrong_setting_is_refused_before_torch_is_loaded(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from components import contract, train\n"
        "sys.argv[1:] = ['--dataset', 'd', '--model', 'm', '--config', '{\"lrr\": 1}']\n"
        "try: contract.run(train.main)\n"
        "finally: print('torch' in sys.modules)\n"
    )
    failure = tmp_path / "failure"
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "TREFOIL_FAILURE": str(failure)},
    )  # fmt: skip
    assert (run.returncode, run.stdout) == (contract.BAD_INPUT, "False\n")
    told = json.loads(failure.read_text())
    assert told["message"] == "the recipe vae has no setting 'lrr'; did you mean lr?"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"modality": "text", "name": "plays"},
            "the recipe vae is for image data, and plays is text; there is none for text yet",
        ),
        (
            {"splits": {"train": {"rows": 7}, "test": {"rows": 2}}},
            "digits has 7 training and 2 held-out images, and a model is judged by 6 of each at "
            "least; give more data",
        ),
        ({"splits": {}}, "schema.json lacks what prepare writes ('train'); prepare anew"),
        ({"format": 2}, "schema.json is not of format 1, the one known here; prepare anew"),
    ],
)
def test_data_that_the_recipe_cannot_use_is_refused_before_a_step_is_done(
    digits: Path, tmp_path: Path, change: dict[str, object], sentence: str
) -> None:
    """Else an hour of training ends in a judge that has too little to judge by."""
    described = json.loads((digits / "schema.json").read_text())
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "schema.json").write_text(json.dumps({**described, **change}))
    with pytest.raises(InputError) as refused:  # nothing else is there to be read
        train.main(command(tmp_path / "data", tmp_path / "model", {}))
    assert str(refused.value).endswith(sentence)
    assert not (tmp_path / "model").exists()
