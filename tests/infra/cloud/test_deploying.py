"""What a step that deploys is told, and reads of its model: what is wrong is one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infra.aws.serving import requests as aws
from infra.azure.serving import requests as azure
from infra.cloud import deploying
from infra.errors import InputError
from infra.gcp.serving import requests as gcp


@pytest.mark.parametrize("cloud", [aws, azure, gcp])
@pytest.mark.parametrize(
    ("told", "words"),
    [
        ("", "is not set; deploy in a pipeline, or by python -m pipelines deploy --provider "),
        ("{", "as this version reads it"),
        ("[]", "as this version reads it"),
        ('{"colour": "blue"}', "as this version reads it"),
        ("{}", "as this version reads it"),
    ],
)
def test_what_endpoints_are_made_of(cloud: Any, told: str, words: str) -> None:
    """An image of last month is told what it does not know: by a traceback nobody sees that."""
    with pytest.raises(InputError, match=words) as caught:
        cloud.told_by({cloud.SERVING: told})
    assert str(caught.value).startswith(cloud.SERVING)


@pytest.mark.parametrize(("has", "tried"), [(("sample", "score"), "sample"), (("score",), "")])
def test_an_operation_that_the_model_has(tmp_path: Path, has: tuple[str, ...], tried: str) -> None:
    """One that needs an image of a person cannot be tried before anyone asks."""
    text = json.dumps({"operations": {name: {} for name in has}})
    (tmp_path / "serving.json").write_text(text)
    assert deploying.operation(tmp_path) == tried


@pytest.mark.parametrize("text", [None, "{", "[]", "{}", '{"operations": 1}'])
def test_a_model_that_cannot_be_served_is_said_before_machines_are_rented(
    tmp_path: Path, text: str | None
) -> None:
    if text is not None:
        (tmp_path / "serving.json").write_text(text)
    with pytest.raises(InputError, match=r"no model to serve|serving\.json is damaged"):
        deploying.operation(tmp_path)
