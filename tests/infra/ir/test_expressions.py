"""Conditions are read as KFP means them, or refused."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.errors import InputError
from infra.ir.expressions import parse_condition
from infra.plan import All, Compare, Condition, Constant, Not, Parameter, Source
from pipelines.conditions import words


def parse(text: str) -> Condition:
    return parse_condition(text, "step s", Parameter)


def an(name: str) -> str:
    return f"inputs.parameter_values['{name}']"


A, B = Parameter("a"), Parameter("b")


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        (f"{an('a')} == 'x'", Compare("==", A, Constant("x"))),
        (f"{an('a')} == ''", Compare("==", A, Constant(""))),
        (f"{an('a')} == 'a && b > 1'", Compare("==", A, Constant("a && b > 1"))),
        (f"{an('a')} == true", Compare("==", A, Constant(True))),
        (f"{an('a')} != false", Compare("!=", A, Constant(False))),
        (f"int({an('a')}) >= -12", Compare(">=", A, Constant(-12))),
        (f"double({an('a')}) < 1e-05", Compare("<", A, Constant(1e-05))),
        (f"{an('a')} > {an('b')}", Compare(">", A, B)),
        (f"1.0 <= {an('a')}", Compare("<=", Constant(1.0), A)),
        (f"!({an('a')} == 1)", Not(Compare("==", A, Constant(1)))),
        (f"!({an('a')} == 1) && {an('b')} > 2 && !({an('b')} > 3)",
         All((Not(Compare("==", A, Constant(1))), Compare(">", B, Constant(2)),
              Not(Compare(">", B, Constant(3)))))),
    ],
)  # fmt: skip
def test_conditions(text: str, condition: Condition) -> None:
    found = parse(text)
    assert found == condition
    assert type(_constant(found)) is type(_constant(condition))


def _constant(condition: Condition) -> object:
    while isinstance(condition, Not | All):
        condition = condition.condition if isinstance(condition, Not) else condition.conditions[0]
    sides: tuple[Source, Source] = (condition.left, condition.right)
    return next((side.value for side in sides if isinstance(side, Constant)), None)


@pytest.mark.parametrize(
    "text",
    [
        "", "  ", "==", an("a"), f"{an('a')} ==", f"{an('a')} == 'open", f"{an('a')} == 'it's'",
        f"{an('a')} == 1 || {an('b')} == 2", f"!{an('a')} == 1", f"({an('a')} == 1)",
        f"{an('a')} == 1 == 2", f"{an('a')} = 1", f"{an('a')} == nothing", f"!({an('a')} == 1",
        f"{an('a')} == 1 &&", f"{an('a')} in [1]", f"{an('a')} + 1 == 2", "size('x') == 1",
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_and_never_false(text: str) -> None:
    """A runner that took these for False would skip register and deploy, and call it success."""
    with pytest.raises(InputError, match="step s has a condition that Trefoil cannot read"):
        parse(text)


def test_a_quote_in_a_text_is_named() -> None:
    """kfp writes ``== 'it's'``: what is wrong with it is hard to see."""
    with pytest.raises(InputError, match="kfp cannot write a ' inside a text"):
        parse(f"{an('a')} == 'it's'")


@given(st.text(alphabet="inputs.parameter_values['a'] <>=!&|()-0123e truefalse", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(InputError):
        parse(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{an('a')} == true", "a"),
        (f"{an('a')} == false", "not a"),
        (f"{an('a')} != true", "not a"),
        (f"!({an('a')} > 2) && {an('b')} == 'x'", "not (a > 2) and b == x"),
    ],
)
def test_a_condition_in_words(text: str, said: str) -> None:
    assert words(parse(text)) == said
