"""What a run came to, as people are told."""

from __future__ import annotations

import argparse

import pytest

from pipelines.result import Result, tell


@pytest.mark.parametrize(
    ("provider", "settings", "rehearse", "flags"),
    [
        ("local", None, None, ""),
        ("aws", "our aws.json", None, " --provider aws --settings 'our aws.json'"),
        ("gcp", None, "no-capacity", " --provider gcp --rehearse"),
    ],
)
def test_the_report_is_asked_for_where_the_run_is(
    capsys: pytest.CaptureFixture[str],
    provider: str,
    settings: str | None,
    rehearse: str | None,
    flags: str,
) -> None:
    """The line is there to be copied; without the flags it looks for the run on this machine."""
    result = Result(
        "r-1", provider, "succeeded", 1.0, "", [], {"fd": 1.2}, passed=None, gate=None,
        model_version=None, endpoint_url=None,
    )  # fmt: skip
    tell(result, argparse.Namespace(settings=settings, rehearse=rehearse))
    out = capsys.readouterr().out.splitlines()
    assert out[-1] == f"  report    python -m pipelines report r-1{flags}"
