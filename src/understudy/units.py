"""Money, time and size for people: formatting only. Arithmetic stays in plain numbers whose names carry units.

An unknown value is ``None`` and prints as "unknown", never as 0.
"""

from __future__ import annotations

__all__ = ["format_bytes", "format_cny", "format_count", "format_duration", "format_share", "format_usd"]


def format_usd(amount_usd: float | None, *, digits: int = 3) -> str:
    """Dollars with `digits` significant digits: ``$1,240``, ``$0.0123``, ``$3.2e-07``."""
    if amount_usd is None:
        return "unknown"
    if amount_usd == 0:
        return "$0"
    sign, size = ("-" if amount_usd < 0 else ""), abs(amount_usd)
    if size >= 100:
        return f"{sign}${size:,.0f}"
    if size >= 1:
        return f"{sign}${size:,.2f}"
    if size >= 1e-6:
        text = f"{size:.{digits}g}"
        return f"{sign}${float(text):.10f}".rstrip("0") if "e" in text else f"{sign}${text}"
    return f"{sign}${size:.{digits - 1}e}"


def format_cny(amount_cny: float | None, *, digits: int = 3) -> str:
    """Yuan as :func:`format_usd` writes dollars: ``¥8,830``, ``¥0.0876``."""
    return format_usd(amount_cny, digits=digits).replace("$", "¥")


def format_duration(seconds: float | None) -> str:
    """Seconds as ``0.85 ms``, ``2.3 s``, ``4 min 10 s``, ``2 h 05 min``."""
    if seconds is None:
        return "unknown"
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 1:
        return f"{seconds * 1e3:.3g} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def format_bytes(size_bytes: float | None) -> str:
    """Bytes in decimal units: ``812 B``, ``2.0 MB``."""
    if size_bytes is None:
        return "unknown"
    for unit in ("B", "kB", "MB", "GB"):
        if size_bytes < 1000 or unit == "GB":
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    raise AssertionError("unreachable")


def format_count(count: float | None) -> str:
    """A count with thousands separators."""
    return "unknown" if count is None else f"{count:,.0f}"


def format_share(share: float | None, *, digits: int = 1) -> str:
    """A share in [0, 1] as a percentage."""
    return "unknown" if share is None else f"{100 * share:.{digits}f} %"
