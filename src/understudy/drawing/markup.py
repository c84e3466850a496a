"""Builds HTML and SVG in which text is escaped unless it is markup already. Knows nothing of what it shows.

Text from a log may hold anything: markup, control characters, right-to-left overrides, lone surrogates.
All of it becomes visible or harmless here, in one place.
"""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["EMPTY", "Html", "clean", "esc", "foreign", "join", "json_script", "tag"]


class Html(str):
    """Text that is markup. Whatever is not of this type is escaped by :func:`tag` and :func:`join`."""

    __slots__ = ()


EMPTY = Html("")
_VOID = frozenset({"br", "hr", "img", "input", "link", "meta"})
_CONTROLS = {code: 0x2400 + code for code in range(32) if code not in (9, 10)} | {127: 0x2421}
_UNPRINTABLE = re.compile("[\x80-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


def clean(value: object) -> str:
    """Text with control characters as visible signs (NUL is ``␀``) and lone surrogates replaced."""
    return _UNPRINTABLE.sub("\ufffd", str(value).replace("\r\n", "\n").translate(_CONTROLS))


def esc(value: object) -> Html:
    """Escaped text, fit for content and for quoted attributes; markup passes unchanged."""
    return value if isinstance(value, Html) else Html(html.escape(clean(value), quote=True))


def join(parts: Iterable[object], between: str = "") -> Html:
    """Markup of all parts, each escaped unless it is markup."""
    return Html(esc(between).join(esc(part) for part in parts))


def tag(name: str, /, *children: object, **attributes: object) -> Html:
    """One element.

    Parameters
    ----------
    name
        Element name.
    children
        Text (escaped) or markup; ``None`` is left out.
    attributes
        ``cls`` stands for ``class``; a trailing underscore is cut, other underscores become hyphens;
        ``None`` and ``False`` are left out, ``True`` makes a bare attribute.
    """
    opened = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Html(f"<{name}{opened}>")
    return Html(f"<{name}{opened}>{join(child for child in children if child is not None)}</{name}>")


def _attribute(key: str, value: object) -> str:
    if value is None or value is False:
        return ""
    name = "class" if key == "cls" else key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    shown = f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else value
    return f' {name}="{html.escape(clean(shown), quote=True)}"'


def foreign(value: object) -> Html:
    """Text from a log, kept from turning the direction of what stands around it."""
    return tag("bdi", str(value), dir="auto")


def _plain(value: Any) -> Any:
    """A JSON-ready copy: no NaN (``null`` instead), no lone surrogates, keys as text."""
    if isinstance(value, Mapping):
        return {clean(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float):
        return value
    return clean(value)


def json_script(value: Any, *, id_: str) -> Html:
    """Data for a script element; no ``<``, ``>`` or ``&`` survives, so nothing in it can end the element."""
    text = json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"))
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return Html(f'<script type="application/json" id="{esc(id_)}">{text}</script>')
