"""Which version becomes champion, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from components.register import judge
from infra.registry import Registry
from tests.registered import aliases, call
from tests.tracked import made_template, made_uri, outputs  # noqa: F401  fixtures work by being here

COMPARED = {"version": "1", "metrics": {"bits_per_dim": 2.1, "fd": 1.5}}


@pytest.mark.parametrize(
    ("rule", "champion", "bits", "promoted", "why"),
    [
        ("when-better", COMPARED, 2.0, True, "bits_per_dim 2 is better than champion 1's 2.1"),
        ("when-better", COMPARED, 2.1, False, "bits_per_dim 2.1 is not better"),
        ("when-better", COMPARED, 2.0999, False, "champion 1's 2.1 by more than chance"),
        ("when-better", COMPARED, 2.11, False, "bits_per_dim 2.11 is not better"),
        ("when-better", None, 2.0, False, "1; decide with: python -m pipelines promote 2"),
        ("when-better", COMPARED | {"version": "9"}, 2.0, False, "compared with champion 9"),
        ("when-better", COMPARED | {"metrics": None}, 2.0, False, "could not be compared"),
        ("always", None, 9.0, True, "--promote always"),
        ("never", COMPARED, 1.0, False, "--promote never"),
    ],
)  # fmt: skip
def test_promotion_by_rule(
    tmp_path: Path,
    uri: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    rule: str,
    champion: dict[str, Any] | None,
    bits: float,
    promoted: bool,
    why: str,
) -> None:
    call(outputs(tmp_path / "a"), uri, monkeypatch)
    second = outputs(tmp_path / "b", seed=1, champion=champion, bits_per_dim=bits)
    call(second, uri, monkeypatch, run="run-2", rule=rule)
    assert aliases(uri) == {"champion": "2" if promoted else "1", "challenger": "2"}
    assert (second / "promoted").read_text() == str(promoted).lower(), "deploy goes by it"
    assert why in capsys.readouterr().err


def test_never_leaves_even_the_first_one_a_challenger(
    tmp_path: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    call(outputs(tmp_path / "a"), uri, monkeypatch, rule="never")
    assert aliases(uri) == {"challenger": "1"}


def test_a_version_that_was_rolled_back_from_waits_for_a_person(
    tmp_path: Path,
    uri: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The next retraining, or the same command again, would undo the rollback."""
    call(outputs(tmp_path / "a"), uri, monkeypatch)
    second = outputs(tmp_path / "b", seed=1, champion=COMPARED, bits_per_dim=2.0)
    call(second, uri, monkeypatch, run="run-2")
    assert aliases(uri)["champion"] == "2"
    registry = Registry(uri)
    name = registry.names()[0]
    registry.roll_back(name)
    call(second, uri, monkeypatch, run="run-3")
    assert aliases(uri)["champion"] == "1"
    assert "it was rolled back from; decide with: python -m pipelines promote 2" in (
        capsys.readouterr().err
    )
    registry.promote(registry.version(name, "2"))
    assert aliases(uri)["champion"] == "2"
    assert "trefoil.rolled_back_from" not in registry.version(name, "2").tags


def test_a_reason_of_the_gate_against_the_champion_keeps_it(
    tmp_path: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Better in the first number, and far worse in another, is not better."""
    evaluation = {
        "metrics": {"bits_per_dim": 1.0},
        "champion": COMPARED,
        "gate": {"reasons": [{"passed": False, "why": "fd 9 is worse than champion 1's 1.5"}]},
    }
    assert judge(evaluation, "1") == (False, "fd 9 is worse than champion 1's 1.5")
