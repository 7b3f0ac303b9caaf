"""The variables that lead an SDK to a rehearsal: there while it lasts, and then as before."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.rehearsal.environment import led, variables

THEIRS = {
    "AWS_PROFILE": "production",
    "AWS_ACCESS_KEY_ID": "theirs",
    "AWS_ENDPOINT_URL_S3": "https://minio.example.com",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.2/",
    "GOOGLE_APPLICATION_CREDENTIALS": "/home/somebody/key.json",
    "AZURE_CLIENT_SECRET": "theirs",
    "no_proxy": ".amazonaws.com",
    "ALL_PROXY": "socks5://proxy.example.com",
    "AWS_CA_BUNDLE": "/etc/ssl/their.pem",
}
"""What a person may have set that would lead past the rehearsal."""


@pytest.fixture(autouse=True)
def _theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in THEIRS.items():
        monkeypatch.setenv(name, value)


def test_nothing_of_a_persons_clouds_is_seen_meanwhile(tmp_path: Path) -> None:
    """A profile, a key or an exception from the proxy that stays leads out of the rehearsal."""
    with led(variables("http://127.0.0.1:1", tmp_path / "ca.pem", tmp_path)):
        seen = dict(os.environ)
        told = "import os; print(dict(os.environ))"
        child = subprocess.check_output([sys.executable, "-c", told], text=True)
    for value in THEIRS.values():
        assert value not in seen.values()
        assert repr(value) not in child
    assert seen["https_proxy"] == seen["HTTPS_PROXY"] == "http://127.0.0.1:1"
    assert ".amazonaws.com" not in seen["no_proxy"]
    assert seen["AWS_CONFIG_FILE"] == os.devnull


def test_it_is_as_before_afterwards(tmp_path: Path) -> None:
    """Somebody whose keys are gone after a rehearsal cannot launch for real."""
    before = dict(os.environ)
    found = variables("http://127.0.0.1:1", tmp_path / "ca.pem", tmp_path)
    with contextlib.suppress(RuntimeError), led(found):
        os.environ["SET_MEANWHILE"] = "stays"
        raise RuntimeError
    assert os.environ.pop("SET_MEANWHILE") == "stays"
    assert dict(os.environ) == before
