"""The one error training raises for a person, and the word they may have meant."""

from __future__ import annotations

from collections.abc import Iterable


class InputError(Exception):
    """Bad data, configuration or checkpoint: one sentence saying what, where, and what to do.

    A step that ends with it exits with code 2 and is not retried.
    """

    exit_code = 2


def nearest(word: str, known: Iterable[str], otherwise: str = "known are ") -> str:
    """Say which known word was probably meant, or else list them after ``otherwise``."""
    import difflib

    words = list(known)
    near = difflib.get_close_matches(word, words, 1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else f"{otherwise}{', '.join(words) or 'none'}"
