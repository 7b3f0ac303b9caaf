"""A parameter's value is what was meant, whole numbers whole, or it is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.errors import InputError
from infra.plan import Json, as_text
from infra.values import bind, neat, quantity, seconds, typed

WHOLE = st.integers(-(2**53), 2**53)
PLAIN: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | WHOLE | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
KINDS: dict[str, st.SearchStrategy[Any]] = {
    "STRING": st.text(),
    "NUMBER_INTEGER": WHOLE,
    "NUMBER_DOUBLE": st.floats(allow_nan=False, allow_infinity=False),
    "BOOLEAN": st.booleans(),
    "LIST": st.lists(PLAIN),
    "STRUCT": st.dictionaries(st.text(), PLAIN),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_value_survives_the_command_line(kind: str) -> None:
    @given(KINDS[kind])
    def check(value: Json) -> None:
        found = typed(as_text(value), kind, "p")
        assert (found, type(found)) == (value, type(value))
        assert typed(value, kind, "p") == value

    check()


@given(PLAIN)
def test_whole_numbers_survive_protobuf(value: Json) -> None:
    """Its Struct has floats alone: 32 in a list arrives as 32.0."""

    def floated(value: Any) -> Any:
        if isinstance(value, list):
            return [floated(item) for item in value]
        if isinstance(value, dict):
            return {key: floated(item) for key, item in value.items()}
        return float(value) if type(value) is int else value

    assert json.dumps(neat(floated([value]), "LIST")) == json.dumps([value])


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("STRING", 3), ("STRING", None), ("NUMBER_INTEGER", "3.5"), ("NUMBER_INTEGER", "true"),
        ("NUMBER_INTEGER", ""), ("NUMBER_INTEGER", "0x10"), ("NUMBER_INTEGER", "9" * 5000),
        ("NUMBER_DOUBLE", "fast"), ("NUMBER_DOUBLE", "false"), ("BOOLEAN", "1"), ("BOOLEAN", "yes"),
        ("BOOLEAN", 0), ("LIST", "{}"), ("LIST", "[1"), ("STRUCT", "[]"), ("STRUCT", "null"),
        ("STRUCT", "text"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_by_name(kind: str, value: Json) -> None:
    with pytest.raises(InputError, match=r"^p must be "):
        typed(value, kind, "p")


@pytest.mark.parametrize(
    ("kind", "value"),
    [("NUMBER_DOUBLE", "NaN"), ("NUMBER_DOUBLE", "-Infinity"), ("NUMBER_DOUBLE", "1e999"),
     ("LIST", "[NaN]"), ("STRING", "\udcff")],
)  # fmt: skip
def test_what_no_request_can_carry_is_refused(kind: str, value: str) -> None:
    """A NaN makes the request no JSON; a stray byte of the command line cannot be written."""
    with pytest.raises(InputError, match=r"^p must be finite numbers and UTF-8 text"):
        bind({"p": {"parameterType": kind}}, {"p": value})


def test_binding_takes_the_persons_value_then_the_default_then_nothing() -> None:
    definitions: dict[str, Any] = {
        "n": {"parameterType": "NUMBER_INTEGER", "defaultValue": 3.0},
        "x": {"parameterType": "NUMBER_DOUBLE", "defaultValue": 3.0},
        "o": {"parameterType": "STRING", "isOptional": True},
    }
    found = bind(definitions, {})
    assert json.dumps(found) == '{"n": 3, "x": 3.0, "o": null}'
    assert bind(definitions, {"n": "-4", "o": ""}) == {"n": -4, "x": 3.0, "o": ""}
    with pytest.raises(InputError, match="needs a value for p: give --param p="):
        bind({"p": {"parameterType": "STRING"}}, {})
    with pytest.raises(InputError, match="no parameter m; it has n, x, o"):
        bind(definitions, {"m": "1"})


@pytest.mark.parametrize(
    ("text", "value"),
    [("2", 2.0), ("0.5", 0.5), ("1500m", 1.5), ("1k", 1e3), ("2Gi", 2.0**31), ("3G", 3e9),
     (" 1Ti ", 2.0**40)],
)  # fmt: skip
def test_quantities(text: str, value: float) -> None:
    assert quantity(text, "s") == value


@pytest.mark.parametrize("text", ["", "-1", "Gi", "1 Gi", "1GB", "1e3", "much", "1.", "2g"])
def test_what_is_no_quantity_names_its_step(text: str) -> None:
    with pytest.raises(InputError, match="step s asks for the quantity"):
        quantity(text, "s")


def test_durations() -> None:
    assert [seconds(text, "a") for text in ("0s", "1.5s", "3600s")] == [0.0, 1.5, 3600.0]
