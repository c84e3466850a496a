"""The dashboard's style sheet and script, and addresses that change with their content."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

from understudy.drawing.style import style_sheet

__all__ = ["ASSETS", "asset_text", "asset_url"]

ASSETS = {"dashboard.css": "text/css", "review.js": "text/javascript"}


@cache
def asset_text(name: str) -> str:
    """The content of one of :data:`ASSETS`; the style sheet begins with the one that all pages share."""
    text = (files("understudy.serving.dashboard") / name).read_text(encoding="utf-8").strip()
    return f"{style_sheet()}\n{text}\n" if name == "dashboard.css" else f"{text}\n"


@cache
def asset_url(name: str) -> str:
    """Its address."""
    digest = hashlib.sha256(asset_text(name).encode()).hexdigest()[:12]
    return f"/dashboard/assets/{name}?v={digest}"
