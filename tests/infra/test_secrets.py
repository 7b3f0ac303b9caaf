"""What a request may show of an environment and of parameters, in every place's own form."""

from __future__ import annotations

from typing import Any

import pytest

from infra.secrets import HIDDEN, hidden, is_secret, is_secret_variable


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        ({"env": {"API_KEY": "abc", "N": "1"}}, {"env": {"API_KEY": HIDDEN, "N": "1"}}),
        ({"env": {"STRIPE_KEY": "abc"}}, {"env": {"STRIPE_KEY": HIDDEN}}),
        ({"Environment": {"HF_TOKEN": "abc"}}, {"Environment": {"HF_TOKEN": HIDDEN}}),
        (
            {"env": [{"name": "DB_PASSWORD", "value": "abc"}, {"name": "N", "value": "1"}]},
            {"env": [{"name": "DB_PASSWORD", "value": HIDDEN}, {"name": "N", "value": "1"}]},
        ),
        ({"parameterValues": {"api_key": "abc"}}, {"parameterValues": {"api_key": HIDDEN}}),
        ({"pin": {"client_secret": 1234}}, {"pin": {"client_secret": HIDDEN}}),
        (
            {"inputs": {"api_key": {"is": "Constant", "value": "abc"}}},
            {"inputs": {"api_key": {"is": "Constant", "value": HIDDEN}}},
        ),
        (
            {"api_key": {"runtimeValue": {"constant": "abc"}}},
            {"api_key": {"runtimeValue": {"constant": HIDDEN}}},
        ),
        (
            {"api_key": {"parameterType": "STRING", "defaultValue": "abc"}},
            {"api_key": {"parameterType": "STRING", "defaultValue": HIDDEN}},
        ),
    ],
)
def test_a_secrets_value_is_hidden_and_nothing_else(data: Any, shown: Any) -> None:
    """A request is printed into CI logs that everyone can read, and kept on disk."""
    assert hidden(data) == shown


@pytest.mark.parametrize(
    "data",
    [
        {"steps": [{"name": "get-token", "inputs": {"n": {"is": "Constant", "value": 3}}}]},
        {"inputs": {"sort_key": {"is": "Constant", "value": "id"}}},
        {"max_tokens": 5, "tokenizer": "bpe", "authors": ["a"], "env": {"TOKEN_FILE": "/run/t"}},
        {"secretAsEnv": [{"secretName": "s", "keyToEnv": [{"secretKey": "k", "envVar": "V"}]}]},
        {"secretKeyRef": {"name": "s", "key": "password"}},
        {"automountServiceAccountToken": False, "auth": None, "password": ""},
        {"api_key": {"componentInputParameter": "api_key"}},
        [1, "api_key", {"a": [None, True]}],
    ],
)
def test_what_only_tells_of_a_secret_is_shown(data: Any) -> None:
    """A dry run that hides too much is of no use."""
    assert hidden(data) == data


def test_a_variable_may_be_called_a_key() -> None:
    assert is_secret_variable("STRIPE_KEY")
    assert not is_secret("sort_key")
    assert not is_secret_variable("KEYBOARD")
