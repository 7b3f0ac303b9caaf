"""Placeholders in the words of a command: ``{{$.inputs.parameters['x']}}``, Concat, IfPresent."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from typing import Any

from infra.errors import InputError, short
from infra.plan import Argument, Kind, Token

_PLACEHOLDER = re.compile(r"\{\{\$(.*?)\}\}", re.DOTALL)
_FIELD = re.compile(r"\.(\w+)\.(\w+)\['([^']+)'\](?:\.(\w+))?")
_KINDS: dict[tuple[str, str, str | None], Kind] = {
    ("inputs", "parameters", None): "parameter",
    ("inputs", "artifacts", "path"): "input_path",
    ("inputs", "artifacts", "uri"): "input_path",
    ("inputs", "artifacts", None): "input_path",  # a list of them, whole
    ("outputs", "artifacts", "path"): "output_path",
    ("outputs", "artifacts", "uri"): "output_path",
    ("outputs", "parameters", "output_file"): "output_file",
}
_RUN = {
    ".pipeline_job_name", ".pipeline_job_resource_name", ".pipeline_job_uuid",
    ".pipeline_task_name", ".pipeline_task_uuid",
}  # fmt: skip
_STRUCTURED = ('{"Concat": ', '{"IfPresent": ')


def parse_arguments(word: str, given: Collection[str], where: str) -> list[Argument]:
    """The arguments that one word of a command stands for: any number of them, for IfPresent.

    ``given`` names the inputs that have a value. Raises InputError.
    """
    if not word.startswith(_STRUCTURED):
        return [parse_argument(word, where)]
    try:
        return [parse_argument(text, where) for text in _words(json.loads(word), given)]
    except (ValueError, LookupError, TypeError, AttributeError):
        raise InputError(
            f"{where} has a placeholder that Trefoil cannot read: {short(word)}"
        ) from None


def parse_argument(text: str, where: str) -> Argument:
    """Split ``text`` at its placeholders. Raises InputError on one that is not known."""
    tokens: list[Token] = []
    end = 0
    for match in _PLACEHOLDER.finditer(text):
        if match.start() > end:
            tokens.append(Token("text", text[end : match.start()]))
        tokens.append(_token(match.group(1), where))
        end = match.end()
    if end < len(text):
        tokens.append(Token("text", text[end:]))
    return tuple(tokens)


def _token(body: str, where: str) -> Token:
    if not body:
        return Token("executor_input", "")
    if body in _RUN:
        return Token("run", body[1:])
    match = _FIELD.fullmatch(body)
    kind = _KINDS.get((match[1], match[2], match[4])) if match else None
    if match is None or kind is None:
        shown = short(f"{{{{${body}}}}}")
        raise InputError(f"{where} has a placeholder that Trefoil does not know: {shown}")
    return Token(kind, match[3])


def _words(node: Any, given: Collection[str]) -> Iterator[str]:
    """The words that Concat and IfPresent, one in another, come to."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, list):
        for item in node:
            yield from _words(item, given)
    elif "Concat" in node:
        yield "".join(_words(node["Concat"], given))
    else:
        choice = node["IfPresent"]
        yield from _words(choice.get("Then" if choice["InputName"] in given else "Else", []), given)
