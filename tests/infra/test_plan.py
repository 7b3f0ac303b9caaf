"""The nouns: who needs whom, and one digest for one meaning."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.plan import (
    All,
    Compare,
    Constant,
    FinalStatus,
    FirstOf,
    Not,
    Output,
    Parameter,
    Plan,
    Resources,
    Retry,
    Step,
    Token,
    as_text,
    canonical,
    operands,
    to_data,
)

ONE = Constant(1)
STEP = Step("s", "image", ((Token("text", "x"),),))


@pytest.mark.parametrize(
    ("changes", "needed"),
    [
        ({}, ()),
        ({"after": ("b", "a")}, ("b", "a")),
        ({"inputs": {"x": Output("a", "o"), "y": Output("a", "p"), "z": Parameter("n")}}, ("a",)),
        ({"inputs": {"x": FirstOf((Output("a", "o"), Output("b", "o")))}}, ("a", "b")),
        ({"inputs": {"x": FinalStatus("group", ("a", "b"))}}, ("a", "b")),
        ({"when": Not(All((Compare("==", Output("a", "o"), ONE), Compare("<", ONE, ONE))))},
         ("a",)),
        ({"after": ("a",), "inputs": {"x": Output("a", "o")},
          "when": Compare("==", ONE, Output("b", "o"))}, ("a", "b")),
    ],
)  # fmt: skip
def test_a_step_needs_all_it_takes_something_from_once(
    changes: dict[str, Any], needed: tuple[str, ...]
) -> None:
    assert STEP._replace(**changes).needs() == needed


def test_no_condition_has_no_operands() -> None:
    assert operands(None) == ()


def test_the_digest_is_of_the_meaning() -> None:
    plan = Plan("p", (STEP, STEP._replace(name="t")), {"a": 1, "b": 2})
    turned = plan._replace(steps=plan.steps[::-1], parameters={"b": 2, "a": 1})
    assert turned.digest() == plan.digest()
    assert plan._replace(description="other words").digest() == plan.digest()


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "t"}, {"image": "other"}, {"argv": ()}, {"env": {"A": "b"}},
        {"inputs": {"x": ONE}}, {"parameters": {"o": "STRING"}}, {"artifacts": {"o": "a"}},
        {"after": ("a",)}, {"when": Compare("==", ONE, ONE)}, {"always": True}, {"cache": False},
        {"retry": Retry(1)}, {"timeout": 1.0}, {"resources": Resources(spot=True)},
        {"platforms": {"kubernetes": {}}}, {"task": ("a", "b")},
    ],
    ids=lambda changes: next(iter(changes)),
)  # fmt: skip
def test_every_field_of_a_step_counts(changes: dict[str, Any]) -> None:
    """A field left out of the digest would attach a changed pipeline to the old run."""
    changed = Plan("p", (STEP._replace(**changes),))
    assert changed.digest() != Plan("p", (STEP,)).digest()


def test_every_field_of_a_step_was_tried() -> None:
    (mark,) = test_every_field_of_a_step_counts.pytestmark
    assert {next(iter(changes)) for changes in mark.args[1]} == set(Step._fields)


def test_nouns_of_one_shape_do_not_look_alike() -> None:
    assert to_data(Parameter("x")) == {"is": "Parameter", "name": "x"}
    assert len({canonical(to_data(noun)) for noun in (Constant("x"), Parameter("x"))}) == 2
    with pytest.raises(TypeError, match="object is not plain data"):
        to_data(object())


@given(st.dictionaries(st.text(), st.integers() | st.text()))
def test_one_value_has_one_spelling(value: dict[str, Any]) -> None:
    assert canonical(dict(reversed(value.items()))) == canonical(value)


def test_values_on_a_command_line_are_text_or_json() -> None:
    values: list[Any] = ["a b", 3, 0.5, True, None, [1, "é"], {"k": 1}]
    assert [as_text(value) for value in values] == [
        "a b", "3", "0.5", "true", "null", '[1, "é"]', '{"k": 1}',
    ]  # fmt: skip
