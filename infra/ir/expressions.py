"""The conditions inside KFP IR: a subset of CEL."""

from __future__ import annotations

import re
from collections.abc import Callable

from infra.errors import InputError, short
from infra.plan import All, Compare, Condition, Constant, Json, Not, Source

_LEXEME = re.compile(
    r"\s*(?:(?P<input>inputs\.parameter_values\['(?P<name>[^']+)'\])"
    r"|(?P<number>-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)|(?P<string>'[^']*')|(?P<word>true|false)"
    r"|(?P<cast>(?:int|double)\()|(?P<mark>&&|\|\||[=!<>]=|[<>!()]))"
)


class _Lexemes:
    """The condition, one lexeme at a time."""

    def __init__(self, text: str, where: str) -> None:
        self._text, self._where = text, where
        self._items: list[tuple[str, str]] = []
        at = 0
        while text[at:].strip():
            match = _LEXEME.match(text, at)
            if not match:
                raise self.error()
            kind = str(match.lastgroup if match.lastgroup != "name" else "input")
            self._items.append((kind, match.group("name") or match.group(kind)))
            at = match.end()
        self._items.append(("end", ""))

    def peek(self) -> tuple[str, str]:
        return self._items[0]

    def take(self, kind: str = "", text: str = "") -> str:
        found = self._items[0]
        if (kind and found[0] != kind) or (text and found[1] != text):
            raise self.error()
        return self._items.pop(0)[1]

    def error(self) -> InputError:
        advice = "let one step write a single value and compare that"
        if self._text.count("'") % 2:
            advice = "kfp cannot write a ' inside a text: compare with one that has none"
        return InputError(
            f"{self._where} has a condition that Trefoil cannot read: {short(self._text)}; {advice}"
        )


def parse_condition(text: str, where: str, resolve: Callable[[str], Source]) -> Condition:
    """Parse KFP's CEL subset: comparisons, ``!( )``, and the ``&&`` that Elif and Else make.

    ``resolve`` turns the name of an input into its source. Raises InputError.
    """
    lexemes = _Lexemes(text, where)
    condition = _conjunction(lexemes, resolve)
    if lexemes.peek()[0] != "end":
        raise lexemes.error()
    return condition


def _conjunction(lexemes: _Lexemes, resolve: Callable[[str], Source]) -> Condition:
    parts = [_single(lexemes, resolve)]
    while lexemes.peek()[1] == "&&":
        lexemes.take()
        parts.append(_single(lexemes, resolve))
    return parts[0] if len(parts) == 1 else All(tuple(parts))


def _single(lexemes: _Lexemes, resolve: Callable[[str], Source]) -> Condition:
    if lexemes.peek()[1] == "!":
        lexemes.take()
        lexemes.take(text="(")
        inner = _conjunction(lexemes, resolve)
        lexemes.take(text=")")
        return Not(inner)
    left = _operand(lexemes, resolve)
    operator = lexemes.take("mark")
    if operator not in ("==", "!=", "<", "<=", ">", ">="):
        raise lexemes.error()
    return Compare(operator, left, _operand(lexemes, resolve))  # type: ignore[arg-type]


def _operand(lexemes: _Lexemes, resolve: Callable[[str], Source]) -> Source:
    kind, text = lexemes.peek()
    lexemes.take()
    if kind == "input":
        return resolve(text)
    if kind == "cast":
        inner = _operand(lexemes, resolve)
        lexemes.take(text=")")
        return inner
    if kind == "string":
        return Constant(text[1:-1])
    if kind == "word":
        return Constant(text == "true")
    if kind == "number":
        return Constant(_number(text))
    raise lexemes.error()


def _number(text: str) -> Json:
    return int(text) if re.fullmatch(r"-?\d+", text) else float(text)
