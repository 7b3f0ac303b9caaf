"""What is a secret, and what only looks like one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.redaction import HIDDEN, redacted, texts


@pytest.mark.parametrize(
    "name",
    [
        "token", "HF_TOKEN", "token2", "hfToken", "auth", "Authorization", "X-Auth-Token", "oauth",
        "authHeader", "password", "PASSWORD", "dbPasswordProd", "passwd", "secret", "client.secret",
        "api_key", "apiKey", "APIKEY", "api-key-2", "x-api-key", "credential", "aws_credentials",
        "AWS_SECRET_ACCESS_KEY", "AccountKey", "private_key", "AZURE_CONNECTION_STRING",
    ],
)  # fmt: skip
def test_a_secret_is_told_by_its_name_however_deep_it_lies(name: str) -> None:
    """A config as one JSON parameter would show its key in every run record."""
    deep = {"name": "run", "list": [1, {"inner": {name: "abc", "lr": 0.1}}, [{name: 12}]]}
    hidden = {"name": "run", "list": [1, {"inner": {name: HIDDEN, "lr": 0.1}}, [{name: HIDDEN}]]}
    found = texts({name: "abc", "object": deep, "list": [deep], "text": json.dumps(deep)})
    assert found[name] == HIDDEN
    assert json.loads(found["object"]) == json.loads(found["text"]) == hidden
    assert json.loads(found["list"]) == [hidden]


@pytest.mark.parametrize(
    "name",
    [
        "max_tokens", "tokens", "tokenizer", "tokenize", "tokenisation", "token_dim", "author",
        "authors", "authority", "sort_key", "key", "monkey", "token_file", "auth_mode",
        "secret_name", "keyboard", "pass", "passes",
    ],
)  # fmt: skip
def test_a_setting_of_a_like_name_is_kept(name: str) -> None:
    """A record without its hyperparameters is of no use."""
    assert texts({name: 512, "inner": {name: "bpe"}}) == {
        name: "512",
        "inner": json.dumps({name: "bpe"}),
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://me:hunter2@host/x", "https://***@host/x"),
        ("https://hunter2@host", "https://***@host"),
        ("s3://AKIA:hunt@er2@bucket/key", "s3://***@bucket/key"),
        ("postgresql://me:hun/t?er#2@db:5432/mlflow", "postgresql://***@db:5432/mlflow"),
        ("https://h/x?sig=hunter2&page=2", "https://h/x?sig=***&page=2"),
        ("https://h/x?X-Amz-Signature=hunter2&b=1", "https://h/x?X-Amz-Signature=***&b=1"),
        ("https://h/x?X-Amz-Security-Token=hunter2", "https://h/x?X-Amz-Security-Token=***"),
        ("Server=db;Password=hunter2;Timeout=3", "Server=db;Password=***;Timeout=3"),
        ("--api-key='hunter 2' --lr=1", "--api-key=*** --lr=1"),
        ("failed with {'api_key': 'hunter2', 'lr': 1}", "failed with {'api_key': '***', 'lr': 1}"),
        ("Authorization: Basic aHVudGVyMg==", "Authorization: Basic ***"),
        ("sent Bearer eyJhbGciOi.eyJz-_.x", "sent Bearer ***"),
        ('["https://me:hunter2@host"]', '["https://***@host"]'),
        ('{"a": "password=hunter2"', '{"a": "password=***"'),
    ],
)
def test_a_secret_is_told_by_its_form(text: str, expected: str) -> None:
    """Addresses and messages carry credentials under no name at all."""
    assert redacted(text) == expected
    assert texts({"note": [text]}) == {"note": json.dumps([expected])}


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:5000/scope/tool@1.2", "https://host/a?b=c@d", "mail me@host",
        '{"steps": 5,  "lr": NaN}', "Unexpected token: x", "max_tokens=512", "[1, 2",
        "a bearer of news", '{"uri": "http://h:80", "to": "me@x"}',
    ],
)  # fmt: skip
def test_any_other_text_is_left_as_it_is(text: str) -> None:
    """To the byte: a person copies it from the record into the next command."""
    assert redacted(text) == text


def test_the_value_of_a_secret_variable_is_hidden_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library's error message may quote what it was given."""
    for name in ("MLFLOW_TRACKING_PASSWORD", "SOME_KEY", "TOKEN_PROD"):
        monkeypatch.setenv(name, f"horse-{name}")
        assert redacted(f"refused: horse-{name}!") == "refused: ***!"
        assert texts({"x": {"y": [f"horse-{name}"]}}) == {"x": '{"y": ["***"]}'}
    monkeypatch.setenv("TOKEN_FILE", "/run/secrets/token")
    monkeypatch.setenv("API_TOKEN", "on")  # too short to be told from a word
    assert redacted("/run/secrets/token is on") == "/run/secrets/token is on"


@pytest.mark.parametrize(
    "value", [None, True, 3, 0.5, "text", ("a", 1), object], ids=lambda value: type(value).__name__
)
def test_any_value_becomes_text(value: Any) -> None:
    """Whatever a step tells of itself, it must not fail by telling."""
    expected = '["a", 1]' if isinstance(value, tuple) else str(value)
    assert texts({"x": value}) == {"x": expected}


def test_neither_depth_nor_length_is_too_much() -> None:
    """A parameter may be a whole document."""
    deep = "[" * 100_000 + "]" * 100_000
    assert redacted(deep) == deep
    long = "x" * 2_000_000
    assert redacted(long) == long
