"""The style sheet that all pages share: light, dark, narrow and print."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

__all__ = ["style_sheet"]


@cache
def style_sheet() -> str:
    """CSS of colours, type, tables, tiles and charts; asks the network for nothing."""
    return (files("understudy.drawing") / "style.css").read_text(encoding="utf-8").strip()
