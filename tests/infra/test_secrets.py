"""What a request may show of an environment and of parameters, in every place's own form."""

from __future__ import annotations

from typing import Any

import pytest

from infra.errors import StepFailed
from infra.ir import loops
from infra.local.values import Results
from infra.plan import (
    Compare,
    Constant,
    Parameter,
    Plan,
    Secret,
    Source,
    Step,
    Template,
    Token,
)
from infra.redaction import HIDDEN, is_secret, is_secret_variable, redacted
from infra.secrets import secret_inputs, secret_parameters
from pipelines.conditions import words


def _words(text: str) -> list[Any]:
    return [{"is": "Token", "kind": "text", "text": text}]


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
        ({"api_keys": ["a", "b"]}, {"api_keys": HIDDEN}),
        ({"auth": {"basic": {"user": "me", "pw": "abc"}}}, {"auth": HIDDEN}),
        ({"args": ["--api-key", "abc", "-n", "1"]}, {"args": ["--api-key", HIDDEN, "-n", "1"]}),
        (
            {"argv": [_words("--auth"), _words("abc"), _words("--lr=1")]},
            {"argv": [_words("--auth"), _words(HIDDEN), _words("--lr=1")]},
        ),
        (
            {"command": ["sh", "-c", "f --token abc x"]},
            {"command": ["sh", "-c", "f --token *** x"]},
        ),
        ({"url": "https://me:abc@host"}, {"url": "https://***@host"}),
        (
            {"inputs": {"key": {"is": "Secret", "value": {"a": "abc"}}}},
            {"inputs": {"key": {"is": "Secret", "value": HIDDEN}}},
        ),
    ],
)
def test_a_secrets_value_is_hidden_and_nothing_else(data: Any, shown: Any) -> None:
    """A request is printed into CI logs that everyone can read, and kept on disk."""
    assert redacted(data) == shown


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
        {"tasks": {"get-token": {"inputs": {"n": {"runtimeValue": {"constant": "many"}}}}}},
        {"executors": {"exec-get-token": {"container": {"image": "i"}}}},
        {"args": ["--token", "{{$.inputs.parameters['t']}}", "--auth", "--lr=1"]},
        {"args": ["--token-file", "/run/secrets/t", "--token-file=/run/secrets/t"]},
    ],
)
def test_what_only_tells_of_a_secret_is_shown(data: Any) -> None:
    """A dry run that hides too much is of no use."""
    assert redacted(data) == data


def test_a_variable_may_be_called_a_key() -> None:
    assert is_secret_variable("STRIPE_KEY")
    assert not is_secret("sort_key")
    assert not is_secret_variable("KEYBOARD")


def test_a_parameter_is_a_secret_by_its_own_name_or_by_that_of_the_input_it_gives() -> None:
    """Decided while it is known what gives what to whom: later there are only values."""
    given = {"token": Parameter("plain"), "key": Parameter("api_key"), "n": Parameter("count")}
    plan = Plan("p", (Step("s", "i", (), inputs=given),), {"plain": 1, "api_key": 2, "count": 3})
    assert secret_parameters(plan) == {"plain", "api_key"}
    held = Template((Token("text", "Key "), Token("parameter", "key")))
    lowered: dict[str, Source] = {
        "token": Secret(1),
        "key": Secret(2),
        "n": Constant(3),
        "header": held,
    }
    assert secret_inputs(Step("s", "i", (), inputs=lowered)) == {"token", "key", "header"}


def test_what_a_loop_takes_from_a_secret_is_one() -> None:
    items = {"items": {"inputParameter": "keys"}, "itemInput": "item"}
    given: dict[str, Source] = {"keys": Parameter("api_keys")}
    found = loops.items({"parameterIterator": items}, given, {"api_keys": [{"a": 1}]}, "s")
    assert [type(each) for each in found] == [Secret]
    component: dict[str, Any] = {"inputDefinitions": {"parameters": {"item-subvar-a": {}}}}
    fields = loops.iteration({"parameterIterator": items}, component, found[0])
    assert [type(each) for each in fields.values()] == [Secret, Secret]
    part = loops.select(found[0], 'parseJson(string_value)["a"]', {}, "s")
    assert (type(part), part) == (Secret, Secret(1))


def test_a_condition_on_a_secret_shows_nothing_of_it() -> None:
    compared = Compare("==", Secret("abc"), Constant(3))
    with pytest.raises(StepFailed, match=r"\*\*\* == 3"):
        Results("r").holds(compared)
    assert words(compared) == "*** == 3"
