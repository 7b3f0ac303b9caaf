"""Which version becomes champion, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.registered import aliases, call
from tests.tracked import made_template, made_uri, outputs  # noqa: F401  fixtures work by being here

COMPARED = {"version": "1", "metrics": {"bits_per_dim": 2.1, "fd": 1.5}}


@pytest.mark.parametrize(
    ("rule", "champion", "bits", "promoted", "why"),
    [
        ("when-better", COMPARED, 2.0, True, "bits_per_dim 2 is better than champion 1's 2.1"),
        ("when-better", COMPARED, 2.1, False, "bits_per_dim 2.1 is not better"),
        ("when-better", COMPARED, 2.11, False, "bits_per_dim 2.11 is not better"),
        ("when-better", None, 2.0, False, "it was not compared with champion 1; decide"),
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
