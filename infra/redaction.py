"""Credentials taken out of what is shown and kept: the one rule, at every exit.

A secret is told by the name it has, over it (``{"api_key": "x"}``), beside it (``{"name":
"API_KEY", "value": "x"}``, ``["--api-key", "x"]``) or in the same text (``--api-key=x``); by its
form (the user of a URL, a signed query, a bearer's token); by being marked in a plan
(``plan.Secret``); or by being the value of an environment variable of such a name.

``api_key``, ``dbPassword`` and ``X-Auth-Token`` name one; ``token_file`` and ``auth_mode`` only
tell of one, and ``max_tokens``, ``tokenizer`` and ``author`` of none.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, TypeVar

Data = TypeVar("Data")

HIDDEN = "***"
WORDS = (
    r"(?:passw(?:or)?d|passphrase|secret|credential|token(?!s|i[sz])|auth(?!or(?!i[sz]))"
    r"|(?:api|access|account|private|signing|encryption|ssh)[-_. ]?key|connection[-_. ]?string)"
)
_NAME = re.compile(WORDS, re.IGNORECASE)
_ABOUT = re.compile(r"(?i)(?:file|path|dir|sock|url|uri|type|mode|name|count|size|dim)$")
_SHORTEST = 8
"""Characters of a variable's value below which it is a word that any text may hold."""

_URL = re.compile(r"(?<=://)(?:[^/?#\s\"<>]*|[^/?#\s\"<>:]+:(?!\d+[/?#])[^@\s\"<>]*)@")
"""A password may hold what it must not; a port is no password."""
_FORMS = (
    rf"(?i)((?:{WORDS}|[?&][^=&\s]{{0,40}}sig)[\w.%-]*)(=)(?:\"[^\"]*\"|'[^']*'|[^&\s\"',;]+)",
    rf"(?i)((?<!\S)--?[\w-]{{0,40}}{WORDS}[\w-]*)(\s+)(?![-\s])[^\s\"']+",
    rf"(?i)({WORDS}[\w.%-]*)([\"']\s*:\s*[\"'])[^\"']+",
    r"(?i)(\b(?:Bearer|Authorization\W{1,4}\w+))(\s+)[\w.~+/=-]{8,}",
)
"""A name or mark, what joins it to the secret, and that: given, an option, quoted, a header.

Most commands meet no text that may have one, and do not wait for these to be compiled.
"""

_VALUES = {"value", "constant", "defaultValue", "text"}
"""Where a plan, KFP's IR and a cloud's request put the value of what the key above them names."""
_BINDINGS = {
    "is", "componentInputArtifact", "componentInputParameter", "constant", "defaultValue",
    "parameterType", "runtimeValue", "taskOutputArtifact", "taskOutputParameter", "artifactType",
}  # fmt: skip
"""What tells that a mapping only says where the value of a name comes from."""
_REFERENCES = {"secretAsEnv", "secretAsVolume", "secretKeyRef", "imagePullSecret"}
"""KFP's and Kubernetes' own words: they tell of what the cluster keeps."""
_OF_STEPS = {"components", "executors", "tasks"}
"""Under these, names are of steps: one called get-token is no secret."""


def is_secret(name: str) -> bool:
    """Whether what is called so is a secret."""
    return bool(_NAME.search(name)) and not _ABOUT.search(name)


def is_secret_variable(name: str) -> bool:
    """The same of an environment variable: STRIPE_KEY is one, where sort_key sorts rows."""
    return is_secret(name) or name.lower().endswith("_key")


def redacted(data: Data, names: Collection[str] = ()) -> Data:
    """Data without secrets, of the same form: a text, or what JSON is made of.

    A text that is a JSON object or list stays one. ``names`` are secret ones of the caller's own.
    """
    found: Data = _Redaction(names).of(data)
    return found


def texts(values: Mapping[str, object]) -> dict[str, str]:
    """Values as text, without secrets however deep in them."""
    return {name: _as_text(value) for name, value in redacted(dict(values)).items()}


class _Redaction:
    """Goes through data once."""

    def __init__(self, names: Collection[str]) -> None:
        self._names = names
        variables = os.environ.items()
        self._known = [
            v for name, v in variables if len(v) >= _SHORTEST and is_secret_variable(name)
        ]

    def of(self, data: Any, judge: Callable[[str], bool] = is_secret, inside: bool = False) -> Any:
        """``judge`` knows a secret's name; ``inside`` a mapping that tells of a secret."""
        if isinstance(data, Mapping):
            return self._mapping(data, judge, inside)
        if isinstance(data, list | tuple):
            return list(self._items(data, judge, inside))
        return data if data is None or isinstance(data, int | float) else self._text(str(data))

    def _mapping(self, data: Mapping[Any, Any], judge: Callable[[str], bool], inside: bool) -> Any:
        inside = inside or data.get("is") == "Secret"
        inside = inside or ("value" in data and judge(str(data.get("name", ""))))
        found = {}
        for key, value in data.items():
            name = str(key)
            secret = judge(name) or name in self._names
            if name in _REFERENCES:
                found[name] = value
            elif name in _OF_STEPS and isinstance(value, Mapping):
                found[name] = {str(step): self.of(each) for step, each in value.items()}
            elif inside and name in _VALUES:
                found[name] = _hidden(value)
            elif secret and isinstance(value, Mapping) and not _BINDINGS.isdisjoint(value):
                found[name] = self.of(value, judge, inside=True)
            elif secret:
                found[name] = _hidden(value)
            else:
                deeper = is_secret_variable if name.lower().startswith("env") else judge
                found[name] = self.of(value, deeper, inside)
        return found

    def _items(
        self, data: Iterable[Any], judge: Callable[[str], bool], inside: bool
    ) -> Iterator[Any]:
        named = False  # by the option before
        for item in data:
            word = _word(item)
            yield _hidden_word(item) if named and word else self.of(item, judge, inside)
            named = word.startswith("-") and "=" not in word and is_secret(word)

    def _text(self, text: str) -> str:
        if text.lstrip()[:1] in ("{", "["):
            try:
                found = json.loads(text)
                clean = self.of(found)
                return text if clean == found else json.dumps(clean, ensure_ascii=False)
            except (ValueError, RecursionError):
                pass  # it only looked like JSON
        text = _URL.sub(f"{HIDDEN}@", text) if "://" in text else text
        if _NAME.search(text) or "sig" in text.lower() or "bearer" in text.lower():
            for form in _FORMS:
                text = re.sub(form, _without_value, text)
        for value in self._known:
            text = text.replace(value, HIDDEN)
        return text


def _without_value(match: re.Match[str]) -> str:
    return match[0] if _ABOUT.search(match[1]) else f"{match[1]}{match[2]}{HIDDEN}"


def _hidden(value: object) -> object:
    """What is shown of a secret: whether there is one."""
    return value if isinstance(value, bool | None) or value in ("", [], {}) else HIDDEN


def _word(item: object) -> str:
    """A word of a command as KFP's IR has it, or as a plan does: one token of text."""
    if isinstance(item, list | tuple) and len(item) == 1 and isinstance(item[0], Mapping):
        item = item[0].get("text") if item[0].get("kind") == "text" else ""
    return item if isinstance(item, str) else ""


def _hidden_word(item: Any) -> Any:
    if _word(item).startswith(("-", "{{$")):  # another option, or what only the run knows
        return item
    return HIDDEN if isinstance(item, str) else [{**item[0], "text": HIDDEN}]


def _as_text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
