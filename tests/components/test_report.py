"""The last word on a run, whatever the orchestrator says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from components import report
from tests.tracked import lines
from training.errors import InputError

DONE = {"state": "SUCCEEDED", "pipelineJobResourceName": "p/locations/x/generative-1", "error": {}}


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (DONE, "Run generative-1 succeeded: every step ended well or was not called for"),
        (
            DONE | {"state": "FAILED", "error": {"code": 1, "message": "train: no data\n  log"}},
            "Run generative-1 failed: train: no data",
        ),
        (DONE | {"state": "FAILED"}, "Run generative-1 failed: no reason was given"),
        (DONE | {"state": "CANCELLED"}, "Run generative-1 was cancelled: it was ended before"),
        (DONE | {"state": "UNHEARD_OF"}, "Run generative-1 ended as unheard_of"),
        ({"state": "FAILED", "error": None}, "Run the run failed"),
    ],
)
def test_one_clear_paragraph(
    status: dict[str, object], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    report.main(["--status", json.dumps(status)])
    told = capsys.readouterr().out
    assert told.startswith(said)
    assert told.count("\n") == 1


def test_it_is_tracked_for_the_whole_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TREFOIL_TRACKING", str(tmp_path))
    monkeypatch.setenv("TREFOIL_STEP", "report")
    monkeypatch.setenv("TREFOIL_RUN_ID", "generative-7")
    failed = DONE | {"state": "FAILED", "error": {"message": "cannot reach https://u:pw@host/x"}}
    report.main(["--status", json.dumps(failed)])
    [tags] = [line["run_tags"] for line in lines(tmp_path / "report.jsonl") if "run_tags" in line]
    assert tags == {
        "trefoil.ending": "failed",
        "mlflow.note.content": "Run generative-7 failed: cannot reach https://***@host/x",
    }
    assert not (tmp_path / "_run.jsonl").exists(), "how the run ended is the orchestrator's to say"


@pytest.mark.parametrize("text", ["", "{", "null", "[]", '{"state": 3}', '"SUCCEEDED"'])
def test_what_is_no_status_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(InputError, match=r"^--status is (not JSON|no final status)"):
        report.main(["--status", text])
