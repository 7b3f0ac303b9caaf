"""Whatever is wrong with an IR file, a person gets one sentence: never a traceback."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

import pytest

from infra import ir
from infra import provider as providers
from infra.errors import TrefoilError
from pipelines import compile

PLANS = Path(__file__).parents[2] / "plans"
JUNK: list[Any] = [
    None, 7, -1.5, "", "x", [], {}, ["x"], {"x": 1}, True, "{{$", "{{$.a}}", "{{$}}", "9" * 20,
]  # fmt: skip
LOCAL = providers.get("local")


PLANS_HURT = ["features.py", "scopes.py", "loops.py", "optional.py", "lightweight.py"]


@pytest.fixture(scope="module", params=PLANS_HURT)
def document(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return compile.load(str(PLANS / request.param), tmp_path_factory.mktemp("ir"))


def places(node: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of a document."""
    items = node.items() if isinstance(node, dict) else enumerate(node)
    found = []
    for key, value in items:
        found.append((node, key))
        if isinstance(value, dict | list):
            found += places(value)
    return found


def harm(document: Any, chance: random.Random) -> None:
    """Remove, replace or swap something in ``document``."""
    everywhere = places(document)
    (node, key), (other, name) = chance.choice(everywhere), chance.choice(everywhere)
    way = chance.random()
    if way < 0.3:
        del node[key]
    else:
        node[key] = copy.deepcopy(chance.choice(JUNK) if way < 0.8 else other[name])


@pytest.mark.parametrize("seed", range(8))
def test_damage_is_read_or_refused(document: Any, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    for _ in range(60):
        hurt = copy.deepcopy(document)
        harm(hurt, chance)
        try:
            ir.declared(hurt)
            body = LOCAL.lower(ir.read(hurt), LOCAL.settings(), "r").body
            json.dumps(dict(body))
        except TrefoilError as error:
            assert "\n" not in str(error)  # noqa: PT017  it need not be raised
            assert len(str(error)) < 400  # noqa: PT017
