"""What is to be reached, figure by figure, and whether it was: nothing is claimed that was not measured."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["CLAIMS", "Claim", "Figures", "share_text"]

Figures = Mapping[str, Mapping[str, Any]]
"""Per row name, what it measured."""


def share_text(value: float) -> str:
    """A share in the issue's style: .910."""
    return f"{value:.3f}".removeprefix("0") if value >= 0 else f"-{-value:.3f}".replace("-0.", "-.")


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value < 10 else f"{value:.0f} s"


def _megabytes(value: float) -> str:
    return f"{value / 1e6:.2f} MB"


@dataclass(frozen=True, slots=True)
class Claim:
    """One figure with its reference and its floor.

    Attributes
    ----------
    what, figure
        Shown to people.
    row, key
        Where the measurement is; a dotted key reaches into mappings.
    reference
        As the issue states it, or ``None``.
    to_reach
        A number, or a function of all figures (a peer's figure of the same run); ``None``: only to be stated.
    is_more_better
        Direction.
    show
        Formats a value.
    """

    what: str
    figure: str
    row: str
    key: str
    reference: str | None
    to_reach: float | Callable[[Figures], float | None] | None
    is_more_better: bool = True
    show: Callable[[float], str] = share_text

    def measured(self, figures: Figures) -> Any:
        """The value, or ``None`` where the row has not been run or has no such figure."""
        at: Any = figures.get(self.row)
        for part in self.key.split("."):
            at = at.get(part) if isinstance(at, Mapping) else None
        return at

    def floor(self, figures: Figures) -> float | None:
        """What is to be reached, or ``None`` where nothing is or where it was not measured."""
        return self.to_reach(figures) if callable(self.to_reach) else self.to_reach

    def verdict(self, figures: Figures) -> str:
        """``met``, ``not met: x against y``, ``stated``, or why there is none."""
        value = self.measured(figures)
        if value is None:
            return "not measured"
        if isinstance(value, bool):
            return "met" if value else "not met"
        if isinstance(value, Mapping):
            value = value["share"]
        if self.to_reach is None:
            return "stated"
        floor = self.floor(figures)
        if floor is None:
            return "no peer figure"
        # What is printed is what is compared: .9366 shown as .937 reaches .937.
        is_met = (operator.ge if self.is_more_better else operator.le)(value, floor) or self.show(
            value
        ) == self.show(floor)
        return "met" if is_met else f"not met: {self.show(value)} against {self.show(floor)}"


def _ms(value: float) -> str:
    return f"{value:.3f} ms" if value < 1 else f"{value:.2f} ms"


def _mb_resident(value: float) -> str:
    return f"{value:.0f} MB"


def _rate(value: float) -> str:
    return f"{value:,.0f}/s"


def _tracer_total(figures: Figures) -> float | None:
    found = figures.get("peer_tracer", {}).get("fit_s")
    return None if found is None else float(found)


_L, _F, _D = "banking77_gold, linear rung", "frozen encoder, int8", "distilled 3-layer, int8"
_COVER = "coverage at certified 95 % among answered"
_QWEN, _ESNLI, _SPANS = "banking77_qwen7b, linear", "esnli_palm540b (pairs)", "product_extract_gpt4 (spans)"
_MILLION = "a million calls"

CLAIMS: tuple[Claim, ...] = (
    Claim(_L, "test accuracy", "banking_linear", "accuracy", ".910", 0.910),
    Claim(_L, "fit", "banking_linear", "fit_s", "2.6 s", 2.6, False, _seconds),
    Claim(_L, "size", "banking_linear", "size_bytes", "2.0 MB", 2.0e6, False, _megabytes),
    Claim(_L, "per answer", "banking_linear", "ms_per_answer", ".08 ms", 0.08, False, _ms),
    Claim(_L, "process memory", "banking_linear", "resident_mb", "31 MB", 31.0, False, _mb_resident),
    Claim(_L, "cold start", "banking_linear", "cold_s", ".1 s", 0.1, False, _seconds),
    Claim(_F, "test accuracy", "banking_frozen", "accuracy", ".930", 0.930),
    Claim(_F, "size", "banking_frozen", "size_bytes", "23.5 MB", 23.5e6, False, _megabytes),
    Claim(_F, "per answer", "banking_frozen", "ms_per_answer", "2.3 ms", 2.3, False, _ms),
    Claim(_F, "cold start", "banking_frozen", "cold_s", ".2 s", 0.2, False, _seconds),
    Claim("linear + frozen", "test accuracy", "banking_linear_frozen", "accuracy", ".939", 0.937),
    Claim("tuned encoder", "test accuracy", "banking_tuned", "accuracy", ".937 (about 10 min)", 0.937),
    Claim("tuned encoder", "fit", "banking_tuned", "fit_s", "about 600 s", None, False, _seconds),
    Claim(_D, "test accuracy", "banking_distilled", "accuracy", ".934", 0.934),
    Claim(_D, "size", "banking_distilled", "size_bytes", "18 MB", 18e6, False, _megabytes),
    Claim(_D, "per answer", "banking_distilled", "ms_per_answer", ".95 ms", 0.95, False, _ms),
    Claim(
        _D, "one thread", "banking_distilled", "texts_per_second_one_thread", "1,150/s", 1150.0, True, _rate
    ),
    Claim(
        _COVER,
        "coverage on test, quick rungs, mean of three splits",
        "cover_quick",
        "coverage",
        ".940 (TRACER .858)",
        0.94,
    ),
    Claim(_COVER, "time, quick rungs, mean", "cover_quick", "fit_s", "80 s", _tracer_total, False, _seconds),
    Claim(
        _COVER,
        "agreement among answered on test, quick rungs",
        "cover_quick",
        "agreement_answered",
        ".95",
        0.95,
    ),
    Claim(_COVER, "coverage on test, tuned rungs", "cover_full", "coverage", None, 0.95),
    Claim(
        _COVER,
        "agreement among answered on test, tuned rungs",
        "cover_full",
        "agreement_answered",
        ".95",
        0.95,
    ),
    Claim("cascade linear → encoder", "share answered by linear", "cascade", "share_linear", ".87", 0.87),
    Claim(
        "cascade linear → encoder",
        "accuracy against encoder alone",
        "cascade",
        "accuracy_delta",
        "-.002",
        -0.002,
    ),
    Claim(
        "cascade linear → encoder",
        "mean CPU per answer",
        "cascade",
        "cpu_ms_per_answer",
        None,
        None,
        False,
        _ms,
    ),
    Claim(_QWEN, "agreement, trained on teacher", "qwen_linear", "agreement", ".796", 0.796),
    Claim(_QWEN, "gold, trained on teacher", "qwen_linear", "gold", ".643", 0.643),
    Claim(_QWEN, "gold, trained on gold", "qwen_linear", "gold_trained_gold", ".857", 0.857),
    Claim(_ESNLI, "agreement, linear", "esnli_tuned", "linear_agreement", ".587", None),
    Claim(_ESNLI, "agreement, tuned", "esnli_tuned", "tuned_agreement", "well above .587", 0.637),
    Claim(_ESNLI, "gold, tuned", "esnli_tuned", "tuned_gold", "well above .602", 0.652),
    Claim(_ESNLI, "certified coverage on test", "esnli_tuned", "system_coverage", None, None),
    Claim(_SPANS, "F1 with teacher", "product_tuned", "teacher_label_trained_f1_teacher_label", ".564", 0.65),
    Claim(_SPANS, "F1 with gold", "product_tuned", "teacher_label_trained_f1_gold", ".572", 0.65),
    Claim(_SPANS, "F1 with gold, trained on gold", "product_tuned", "gold_trained_f1_gold", None, None),
    Claim(
        _SPANS,
        "F1 with teacher, linear rung",
        "product_linear",
        "teacher_label_trained_f1_teacher_label",
        ".564",
        None,
    ),
    Claim("cqa_palm540b", "nothing certified", "cqa_no", "is_refused", "linear at chance", None),
    Claim("cqa_palm540b", "time to the useful no", "cqa_no", "fit_s", None, 300.0, False, _seconds),
    Claim(
        "understudy answer, linear rung",
        "texts per second",
        "throughput",
        "texts_per_second",
        None,
        1e4,
        True,
        _rate,
    ),
    Claim(_MILLION, "inspect, peak memory", "million", "inspect_peak_mb", None, 4096.0, False, _mb_resident),
    Claim(_MILLION, "inspect, time", "million", "inspect_s", None, None, False, _seconds),
    Claim(
        _MILLION, "learn linear, peak memory", "million", "learn_peak_mb", None, 4096.0, False, _mb_resident
    ),
    Claim(_MILLION, "learn linear, time", "million", "learn_s", None, None, False, _seconds),
)
