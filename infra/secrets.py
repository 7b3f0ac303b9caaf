"""What is a secret by its name, and data without such values.

``api_key``, ``dbPassword`` and ``X-Auth-Token`` name one; ``token_file`` and ``auth_mode`` only
tell of one, and ``max_tokens``, ``tokenizer`` and ``author`` of none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from infra.plan import Json

Data = TypeVar("Data", bound=Json)

HIDDEN = "***"
WORDS = (
    r"(?:passw(?:or)?d|passphrase|secret|credential|token(?!s|i[sz])|auth(?!or(?!i[sz]))"
    r"|(?:api|access|account|private|signing|encryption|ssh)[-_. ]?key|connection[-_. ]?string)"
)
_NAME = re.compile(WORDS, re.IGNORECASE)
_ABOUT = re.compile(r"(?i)(?:file|path|dir|sock|url|uri|type|mode|name|count|size|dim)$")
_VALUE = {"value", "constant", "defaultValue"}
"""Where a plan, KFP's IR and a cloud's request put the value of what the key above them names."""
_REFERENCES = {"secretAsEnv", "secretAsVolume", "secretKeyRef", "imagePullSecret"}
"""KFP's and Kubernetes' own words: they tell of what the cluster keeps."""


def is_secret(name: str) -> bool:
    """Whether what is called so is a secret."""
    return bool(_NAME.search(name)) and not _ABOUT.search(name)


def is_secret_variable(name: str) -> bool:
    """The same of an environment variable: STRIPE_KEY is one, where sort_key sorts rows."""
    return is_secret(name) or name.lower().endswith("_key")


def hidden(data: Data) -> Data:
    """Data as it may be shown and kept: what a secret's name stands over, or beside, is hidden.

    A request may hold an environment as {name: value} or as a list of {"name", "value"}.
    """
    found: Data = _hidden(data, is_secret, inside=False)
    return found


def _hidden(data: Any, secret: Callable[[str], bool], *, inside: bool) -> Any:
    """``secret`` judges names; ``inside``: one above these data was found to be a secret's."""
    if isinstance(data, list):
        return [_hidden(item, secret, inside=inside) for item in data]
    if not isinstance(data, Mapping):
        return data
    inside = inside or ("value" in data and secret(str(data.get("name", ""))))
    found: dict[str, Any] = {}
    for key, value in data.items():
        if key in _REFERENCES:
            found[key] = value
        elif _holds(value) and (secret(key) or (inside and key in _VALUE)):
            found[key] = HIDDEN
        else:
            names = is_secret_variable if key.lower().startswith("env") else secret
            found[key] = _hidden(value, names, inside=inside or secret(key))
    return found


def _holds(value: Json) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool) and value != ""
