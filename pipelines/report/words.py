"""Numbers as a person reads them. What is no number is said as it is, never an error."""

from __future__ import annotations

import datetime
import json
import math

from infra.plan import (
    Json,
)

_SHORT = {"kl": "KL", "lr": "Learning rate", "elbo": "ELBO", "gmm": "GMM", "fid": "FID"}
_UNITS = ("bytes", "KB", "MB", "GB", "TB")


def duration(seconds: float) -> str:
    """4 ms, 0.32 s, 4.1 s, 2 min 05 s, 3 h 10 min."""
    if not math.isfinite(seconds) or seconds < 0:
        return ""
    if seconds < 0.0995:
        return f"{math.ceil(1000 * seconds)} ms"
    if seconds < 59.95:
        return f"{seconds:.{2 if seconds < 0.995 else 1}f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours < 48 else f"{hours / 24:.1f} days"


def moment(at: float | None) -> tuple[str, str, str]:
    """Date, time of day with its zone, and both for a machine; empty where it is not known."""
    try:
        found = None if at is None else datetime.datetime.fromtimestamp(at).astimezone()
    except (ValueError, OverflowError, OSError):
        found = None
    if found is None:
        return "", "", ""
    clock = f"{found:%H:%M:%S} {found.tzname()}"
    return f"{found:%Y-%m-%d}", clock, found.isoformat(timespec="seconds")


def size(count: float) -> str:
    """A number of bytes: 812 bytes, 1.4 MB; powers of a thousand."""
    for unit in _UNITS:
        if count < 999.5 or unit == _UNITS[-1]:
            break
        count /= 1000
    return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.3g} {unit}"


def number(value: object) -> str:
    """Four digits that count, with a minus that is as wide as a plus."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if not isinstance(value, int | float) or value != value:  # noqa: PLR0124  NaN
        return "not a number"
    if isinstance(value, int) and abs(value) >= 10**9:
        value = float(value) if abs(value) < 10**300 else math.inf * (1 if value > 0 else -1)
    shown = str(value) if isinstance(value, int) else f"{value:.4g}"
    return shown.replace("inf", "∞").replace("-", "\N{MINUS SIGN}")


def value(found: Json) -> str:
    """A parameter's value: text as it is, the rest as JSON."""
    if isinstance(found, str):
        try:
            inner = json.loads(found)
        except (ValueError, RecursionError):
            return found
        if not isinstance(inner, dict | list):
            return found
        found = inner
    return json.dumps(found, ensure_ascii=False, indent=2 if len(str(found)) > 60 else None)


def title(name: str) -> str:
    """A file's or field's name as a heading: ``loss_by-step`` becomes Loss by step."""
    words = name.replace("_", " ").replace("-", " ").strip()
    return _SHORT.get(words.lower()) or words[:1].upper() + words[1:]
