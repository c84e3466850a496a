"""Figures 13 and 14: a narrow classifier, and a small model on a phone."""

from __future__ import annotations

import math

from understudy.economics.comparison import compare_over_volume
from understudy.economics.hardware.catalogue import find_electricity
from understudy.economics.options import CostOption, edge_option
from understudy.planning.figures.figure import Claim, Figure, about, at_most
from understudy.planning.figures.inputs import GPT3_N, cny_per_usd

__all__ = ["figures"]

_SECONDS_PER_YEAR = 365 * 86_400.0
_PHONE_CNY, _PHONE_YEARS, _PHONE_TOKENS_PER_SECOND = 600.0, 5.0, 7.5
"""As published in entry 14's statement."""
_Z = 1.959963984540054


def figures() -> list[Figure]:
    """Entries 13 and 14."""
    return [_classifier(), _phone()]


def _classifier() -> Figure:
    large = CostOption(name="fine-tuned GPT-3", once_usd=7418, usd_per_call=173 / 10_000)
    small = CostOption(name="own small model", once_usd=1915, usd_per_call=0.26 / 10_000)
    found = compare_over_volume([large, small], most_calls=1e9)
    from_first = 0.0 if found.cheapest[0].option == small.name else found.crossings[0].x
    million = found.totals(1e6)
    n = 1_000
    half = _Z * math.sqrt(0.714 * 0.286 / n + 0.713 * 0.287 / n)
    return Figure(
        "13",
        "a narrow classifier",
        "Fine-tuned GPT-3: $7,418 to build, $173 per 10,000 answers, 71.4 % right. An own model, 1,400 times "
        "smaller: $1,915, $0.26, 71.3 %. The small model is cheaper from the first call.",
        ["the number of test cases was not published"],
        [
            Claim(
                name="volume from which the small model is cheaper",
                unit="calls",
                published=at_most(1, "the first call"),
                computed=from_first,
            ),
            Claim(
                name="size of the small model",
                unit="parameters",
                published=about(125e6, 0.02, "RoBERTa base, 125e6"),
                computed=GPT3_N / 1_400,
            ),
            Claim(name="total at a million calls, GPT-3", unit="USD", computed=million[large.name]),
            Claim(name="total at a million calls, own model", unit="USD", computed=million[small.name]),
            Claim(name="difference in accuracy", unit="points", computed=71.4 - 71.3),
            Claim(
                name="its half-width at 95 %",
                unit="points",
                assumption=f"{n:,} test cases, the two judged independently",
                assumed=100 * half,
            ),
            Claim(
                name="test cases for 0.1 points to count",
                assumption="the two judged independently",
                assumed=n * (half / 0.001) ** 2,
            ),
        ],
    )


def _phone() -> Figure:
    seconds, rate = _PHONE_YEARS * _SECONDS_PER_YEAR, cny_per_usd()
    plain = _PHONE_TOKENS_PER_SECOND * seconds / _PHONE_CNY
    price = find_electricity("cn-residential")
    powered = {watts: _phone_tokens_per_cny(watts, price.price_per_kwh) for watts in (3.0, 4.0, 5.0)}
    return Figure(
        "14",
        "a small model on a phone",
        "A 2.4B model on a phone chip: 600 CNY, 5 years, 7.5 tokens/s, 1.7M tokens a CNY, about 1/100 of a "
        "mid-size hosted model's price. 4-bit weights shrink it by 75 %.",
        [
            f"{rate:.2f} CNY a dollar",
            f"electricity: {price.price_per_kwh:g} CNY a kWh (catalogue, cn-residential, {price.year})",
            (
                "the phone's power was not published; 4 W is solved back from 1.7M tokens a CNY, and 3 to 5 W give "
                f"{powered[3.0] / 1e6:.2f}M to {powered[5.0] / 1e6:.2f}M"
            ),
            "Mistral Medium: $8.10 per million tokens written (list, 2024-02)",
        ],
        [
            Claim(
                name="tokens a CNY",
                published=about(1.7e6, 0.03),
                computed=plain,
                assumption="it takes 4 W (back-solved) at the catalogue's price of electricity",
                assumed=powered[4.0],
            ),
            Claim(
                name="uptime that would give 1.7e6 without electricity, back-solved",
                computed=1.7e6 / plain,
            ),
            Claim(
                name="price over a mid-size hosted model's",
                published=about(0.01, 0.1, "about 1/100"),
                assumption="1.7e6 tokens a CNY as published, and Mistral Medium's price of a token written",
                assumed=1e6 / 1.7e6 / (8.10 * rate),
            ),
            Claim(
                name="weights saved by 4 bits",
                published=about(0.75, 0.01, "75 %"),
                computed=1 - 4 / 16,
            ),
            Claim(name="weights saved, scales of groups of 32 counted", computed=1 - 4.5 / 16),
        ],
    )


def _phone_tokens_per_cny(watts: float, cny_per_kwh: float) -> float:
    rate, per_month = cny_per_usd(), _PHONE_TOKENS_PER_SECOND * _SECONDS_PER_YEAR / 12
    option = edge_option(
        "phone",
        device_usd=_PHONE_CNY / rate,
        life_years=_PHONE_YEARS,
        calls_per_device_month=per_month,
        joules_per_call=watts / _PHONE_TOKENS_PER_SECOND,
        usd_per_kwh=cny_per_kwh / rate,
    )
    assert option.usd_per_call is not None, "its power has a price"
    tokens = per_month * 12 * _PHONE_YEARS
    return tokens / (_PHONE_CNY + option.usd_per_call * rate * tokens)
