"""Every failure a person can meet, as one small tree.

    TrefoilError                 exit code   what to do is in the message
    ├── InputError                    2      wrong flag, file or data
    │   └── SettingsError             2      a setting is unknown or of the wrong type
    ├── UnsupportedError              2      this place cannot do it; the reason is told
    ├── CredentialsError              2      missing, expired or refused
    ├── QuotaError                    1      the account may not have that much
    ├── CapacityError                 1      the provider has none left just now
    ├── Preempted                     1      a spot machine was taken away
    ├── StepFailed                    1      a step ended badly; its last log lines are told
    └── ProviderError                 1      anything else a provider answered, raw

A message says what, where, and what to do next, in one sentence for one person.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable

_SHOWN = 80
"""Letters of a person's own text that a message repeats."""


def nearest(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """Say which known word was probably meant, or else list them after ``otherwise``."""
    import difflib

    words = list(known)
    near = difflib.get_close_matches(word, words, 1)
    return f"did you mean {near[0]}?" if near else f"{otherwise}{', '.join(words) or 'none'}"


def short(text: str) -> str:
    """The beginning of what a person wrote, on one line: enough to find it by."""
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}..."


def told(error: OSError) -> str:
    """Say in words what the operating system refused, and where."""
    where = f": {error.filename}" if error.filename else ""
    if error.errno == errno.ENOSPC:
        return f"the disk is full{where}; make room and give the same command again"
    if error.errno == errno.E2BIG:
        return "its command is longer than this system takes; pass large values as artefacts"
    return f"{error.strerror or error}{where}"


def unwritable(workspace: str, error: OSError) -> InputError:
    """What to raise where the workspace cannot be written."""
    return InputError(
        f"the workspace {workspace} cannot be written ({told(error)}); "
        "another can be chosen with TREFOIL_WORKSPACE"
    )


class TrefoilError(Exception):
    """Base of everything Trefoil raises on purpose; printed as one sentence, never a traceback."""

    exit_code = 1


class InputError(TrefoilError):
    """The person's input cannot be used."""

    exit_code = 2


class SettingsError(InputError):
    """A setting is unknown, of the wrong type, or missing."""


class UnsupportedError(TrefoilError):
    """The chosen place cannot do what the plan asks for."""

    exit_code = 2


class CredentialsError(TrefoilError):
    """The provider does not know us, or no longer."""

    exit_code = 2


class QuotaError(TrefoilError):
    """The account's limit does not allow the request."""


class CapacityError(TrefoilError):
    """The provider has no such machine free now."""


class Preempted(TrefoilError):
    """A spot machine was reclaimed before the step ended."""


class StepFailed(TrefoilError):
    """A step of a run ended badly."""


class ProviderError(TrefoilError):
    """Whatever else the provider answered."""
