"""Credentials taken out of what is written down: the one rule of every room.

A secret is told by the name it has (``infra.secrets``), by its form (the user of a URL, a signed
query, ``password=...``, a bearer's token), or by being the value of an environment variable of
such a name.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping

from infra.secrets import HIDDEN, WORDS, is_secret, is_secret_variable

_SHORTEST = 8
"""Characters of a variable's value below which it is a word that any text may hold."""

_URL = re.compile(r"(?<=://)(?:[^/?#\s\"<>]*|[^/?#\s\"<>:]+:(?!\d+[/?#])[^@\s\"<>]*)@")
"""A password may hold what it must not; a port is no password."""
_GIVEN = re.compile(
    rf"(?i)((?:{WORDS}|[?&][^=&\s]{{0,40}}sig)[\w.%-]*=)(?:\"[^\"]*\"|'[^']*'|[^&\s\"',;]+)"
)
_QUOTED = re.compile(rf"(?i)({WORDS}[\w.%-]*[\"']\s*:\s*[\"'])[^\"']+")
_HEADER = re.compile(r"(?i)(\b(?:Bearer|Authorization\W{1,4}\w+)\s+)[\w.~+/=-]{8,}")


def redacted(text: str) -> str:
    """The text without secrets; one that is a JSON object or list stays one."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            found = json.loads(text)
            clean = _clean(found)
            return text if clean == found else json.dumps(clean, ensure_ascii=False)
        except (ValueError, RecursionError):
            pass  # it only looked like JSON
    text = _URL.sub(f"{HIDDEN}@", text) if "://" in text else text
    for form in (_GIVEN, _QUOTED, _HEADER):
        text = form.sub(rf"\1{HIDDEN}", text)
    for name, value in os.environ.items():
        if len(value) >= _SHORTEST and value in text and is_secret_variable(name):
            text = text.replace(value, HIDDEN)
    return text


def texts(values: Mapping[str, object]) -> dict[str, str]:
    """Values as text, without secrets however deep in them."""
    return {name: _as_text(_clean(value, name)) for name, value in values.items()}


def _clean(value: object, name: str = "") -> object:
    """The value without secrets, of JSON's types all through."""
    if isinstance(value, bool | None):
        return value
    if is_secret(name):
        return HIDDEN
    if isinstance(value, Mapping):
        return {str(key): _clean(inner, str(key)) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(inner) for inner in value]
    return value if isinstance(value, int | float) else redacted(str(value))


def _as_text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
