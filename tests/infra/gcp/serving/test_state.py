"""What Vertex AI says of endpoints, read; where it does not say all of it, that is told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from infra.errors import ProviderError
from infra.gcp.serving.left import left
from infra.gcp.serving.requests import Found, Version
from infra.gcp.serving.state import read
from infra.gcp.session import Gcp

_MODEL = "projects/1/locations/r/models/vae@2"
_TIME = "2026-01-31T12:00:00Z"
_DEPLOYED = {"id": "7", "model": _MODEL, "modelVersionId": "2", "createTime": _TIME}
_ENDPOINT: Found = {"name": "endpoints/digits", "updateTime": _TIME, "deployedModels": [_DEPLOYED]}


class Listing(Gcp):
    """A project of which lists tell this."""

    def __init__(self, **lists: list[Found]) -> None:
        super().__init__("example-project", "europe-west4")
        self._lists = lists

    def pages(self, method: str, key: str, doing: str, **params: Any) -> Iterator[Found]:
        del key, doing, params
        yield from self._lists.get(method.replace(".", "_"), ())


def test_what_is_deployed_is_read_with_its_version() -> None:
    assert read(_ENDPOINT).deployed["7"].version == Version("vae", "2")


@pytest.mark.parametrize("field", [*_DEPLOYED])
def test_what_is_deployed_without_a_field_is_told(field: str) -> None:
    """A traceback in the midst of a deployment says nothing of machines that are paid for."""
    less = {name: text for name, text in _DEPLOYED.items() if name != field}
    with pytest.raises(ProviderError, match=f"tells no {field} of what is deployed"):
        read({**_ENDPOINT, "deployedModels": [less]})


@pytest.mark.parametrize(
    ("lists", "told"),
    [
        ({"endpoints_list": [{"updateTime": _TIME}]}, "no name of an endpoint"),
        ({"endpoints_list": [{"name": "digits"}]}, "no updateTime of an endpoint"),
        ({"models_list": [{"labels": {}}]}, "no name of a model"),
        ({"models_list": [{"name": "vae"}], "models_listVersions": [{}]},
         "no versionId of a version of vae"),
    ],
)  # fmt: skip
def test_what_is_left_without_a_name_is_told(lists: dict[str, list[Found]], told: str) -> None:
    with pytest.raises(ProviderError, match=told):
        list(left(Listing(**lists)))
