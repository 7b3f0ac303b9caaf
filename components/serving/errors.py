"""What the server says when it will not answer: one status, one sentence."""

from __future__ import annotations

import json


class Refused(Exception):
    """The request gets ``status`` and ``{"error": sentence}``, nothing is computed."""

    def __init__(self, status: int, sentence: str, **headers: str) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.headers = status, sentence, headers


def short(value: object) -> str:
    """A value as a sentence can quote it."""
    try:
        text = json.dumps(value)
    except RecursionError:
        return "something nested deeply"
    return text if len(text) <= 40 else text[:37] + "..."
