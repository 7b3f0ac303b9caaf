"""Placeholders in a command's words: read as KFP means them, or refused."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.errors import InputError
from infra.ir.placeholders import parse_argument, parse_arguments
from infra.plan import Token


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", []),
        ("plain {x} {{y}} $z", [("text", "plain {x} {{y}} $z")]),
        ("--x={{$.inputs.parameters['a-b']}}", [("text", "--x="), ("parameter", "a-b")]),
        ("{{$.inputs.artifacts['m'].path}}/f", [("input_path", "m"), ("text", "/f")]),
        ("{{$.inputs.artifacts['m'].uri}}", [("input_path", "m")]),
        ("{{$.outputs.artifacts['m'].path}}", [("output_path", "m")]),
        ("{{$.outputs.parameters['v'].output_file}}", [("output_file", "v")]),
        ("{{$.pipeline_job_name}}-{{$.pipeline_task_name}}",
         [("run", "pipeline_job_name"), ("text", "-"), ("run", "pipeline_task_name")]),
        ("{{$.inputs.artifacts['m']}}", [("input_path", "m")]),
        ("{{$}}", [("executor_input", "")]),
    ],
)  # fmt: skip
def test_placeholders(text: str, tokens: list[tuple[str, str]]) -> None:
    assert parse_argument(text, "step s") == tuple(Token(*token) for token in tokens)  # type: ignore[arg-type]


@given(st.text().filter(lambda text: "{{$" not in text and not text.startswith('{"')))
def test_text_without_placeholders_stays_as_it_is(text: str) -> None:
    assert parse_argument(text, "step s") == ((Token("text", text),) if text else ())


A, B = "{{$.inputs.parameters['a']}}", "{{$.inputs.parameters['b']}}"


@pytest.mark.parametrize(
    ("node", "words"),
    [
        ({"Concat": ["--a=", A]}, ["--a=A"]),
        ({"Concat": ["x", {"Concat": ["y", A]}, "z"]}, ["xyAz"]),
        ({"IfPresent": {"InputName": "a", "Then": ["--a", A], "Else": "none"}}, ["--a", "A"]),
        ({"IfPresent": {"InputName": "b", "Then": ["--b", B], "Else": "none"}}, ["none"]),
        ({"IfPresent": {"InputName": "b", "Then": ["--b", B]}}, []),
        ({"IfPresent": {"InputName": "a", "Then": {"Concat": ["--a=", A]}}}, ["--a=A"]),
        ({"Concat": ["x", {"IfPresent": {"InputName": "b", "Then": B}}, "y"]}, ["xy"]),
    ],
)
def test_concat_and_if_present(node: Any, words: list[str]) -> None:
    """One word of the IR may be no argument of the command, or several."""
    found = parse_arguments(json.dumps(node), ["a"], "step s")
    said = ["".join(token.text.upper() if token.kind == "parameter" else token.text
                    for token in argument) for argument in found]  # fmt: skip
    assert said == words


@pytest.mark.parametrize(
    "word",
    ['{"Concat": ', '{"Concat": 7}', '{"IfPresent": {}}', '{"IfPresent": {"InputName": []}}',
     '{"Concat": [{"Other": 1}]}', '{"IfPresent": [1]}'],
)  # fmt: skip
def test_a_damaged_one_is_refused(word: str) -> None:
    with pytest.raises(InputError, match="step s has a placeholder that Trefoil cannot read"):
        parse_arguments(word, {"a"}, "step s")


def test_a_long_one_is_not_repeated_whole() -> None:
    with pytest.raises(InputError) as refusal:
        parse_argument("{{$." + "x" * 5000 + "}}", "step s")
    assert len(str(refusal.value)) < 200


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    for word in (text, f'{{"Concat": {text}', f'{{"IfPresent": {text}', f"{{{{${text}}}}}"):
        with contextlib.suppress(InputError):
            parse_arguments(word, {"a"}, "step s")
