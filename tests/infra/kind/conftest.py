"""Plans that are compiled once for all tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.infra.kind.rehearsing import document


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, Any]]:
    """Gives the IR of a pipeline in tests/plans."""
    folder = tmp_path_factory.getbasetemp().parent / "kind-ir"
    return lambda name: document(name, folder)
