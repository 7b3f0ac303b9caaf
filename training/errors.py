"""The one error training raises for a person: their data or configuration cannot be used."""

from __future__ import annotations


class InputError(Exception):
    """Bad data, configuration or checkpoint: one sentence saying what, where, and what to do.

    A step that ends with it exits with code 2 and is not retried.
    """

    exit_code = 2
