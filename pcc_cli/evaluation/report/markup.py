"""HTML from parts, safe by construction: whatever is not made by `tag` is escaped."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Union

Child = Union[str, Iterable["Child"]]  # noqa: UP007 (names itself)
_VOID = {"img", "input", "br"}


class Html(str):
    """Text that is markup already."""


def tag(name: str, *children: Child, **attributes: str | int | float | bool) -> Html:
    """`<name attributes>children</name>`.

    children : texts, `Html`, or lists of either
    attributes : `class_` becomes class, other underscores hyphens; True stands alone, False and
                 "" are left out
    """
    parts = [name]
    for key, value in attributes.items():
        key = "class" if key == "class_" else key.replace("_", "-")
        if value is True:
            parts.append(key)
        elif value is not False and value != "":
            parts.append(f'{key}="{escape(str(value))}"')
    opening = f"<{' '.join(parts)}>"
    return Html(opening if name in _VOID else f"{opening}{join(children)}</{name}>")


def join(children: Iterable[Child]) -> Html:
    """One piece of markup from several, texts escaped."""
    parts = []
    for child in children:
        if isinstance(child, str):
            parts.append(child if isinstance(child, Html) else escape(child))
        else:
            parts.append(join(child))
    return Html("".join(parts))
