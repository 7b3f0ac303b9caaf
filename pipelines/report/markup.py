"""HTML and SVG put together as values: text is escaped wherever it is not markup already."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import TypeAlias

_VOID = frozenset({"br", "img", "meta"})
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # but tab and newline
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")  # what a terminal would take as a command


class Markup(str):
    """Text that is HTML already; only this module makes it."""

    __slots__ = ()


Content: TypeAlias = "str | int | float | Iterable[Content] | None"


def text(content: Content) -> Markup:
    """Content as HTML: strings are escaped, markup stands as it is, None is nothing."""
    if isinstance(content, Markup):
        return content
    if content is None:
        return Markup("")
    if isinstance(content, str | int | float):
        return Markup(html.escape(_CONTROL.sub("\ufffd", _COLOUR.sub("", str(content)))))
    return Markup("".join(text(each) for each in content))


def tag(name: str, /, *content: Content, **attributes: str | float | bool | None) -> Markup:
    """An element. ``class_`` becomes class, ``stroke_width`` stroke-width; None and False go."""
    words = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        attribute = key.rstrip("_").replace("_", "-")
        said = f"{value:.6g}" if isinstance(value, float) else str(value)
        words.append(attribute if value is True else f'{attribute}="{text(said)}"')
    opening = f"<{' '.join(words)}>"
    return Markup(opening if name in _VOID else f"{opening}{text(content)}</{name}>")


def style_sheet(css: str) -> Markup:
    """A style element. ``css`` is ours: it is not escaped."""
    return Markup(f"<style>\n{css}</style>")
