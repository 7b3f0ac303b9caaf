"""The machine on which ``cluster`` is tried."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.infra.kind.cluster.machine import Machine
from tests.infra.kind.cluster.rendered import require_kubectl
from tests.infra.kind.fake_kubernetes import FakeKubernetes


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """A machine with docker, kind and kubectl, and no cluster yet."""
    require_kubectl()
    with FakeKubernetes() as server:
        yield Machine(tmp_path, server, monkeypatch)
