"""Figures 3 and 5 to 7: what training costs in money, time and chips."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from understudy.economics.scaling.flop import training_flops
from understudy.economics.training_cost import Accelerator, TrainingCost, training_cost
from understudy.economics.transformer.catalogue import find_model
from understudy.economics.trends import DAYS_PER_MONTH
from understudy.planning.figures.figure import Claim, Figure, about, between
from understudy.planning.figures.inputs import (
    CHINCHILLA_N,
    CHINCHILLA_TOKENS,
    GPT3_N,
    GPT3_TOKENS,
    H100_USD_PER_HOUR,
    PALM_MFU,
    PALM_N,
    PALM_TOKENS,
    TPU_V4_YEAR_USD_PER_HOUR,
    USD_PER_FLOP,
    accelerator,
    cny_per_usd,
)

__all__ = ["figures"]

_V100 = Accelerator(name="V100", peak_flops=28e12, usd_per_hour=1.5)


def figures() -> list[Figure]:
    """Entries 3 and 5 to 7."""
    return [_known_runs(), _hundred_trillion(), _jetmoe(), _gemma()]


def _priced(cost: TrainingCost) -> float:
    assert cost.usd is not None, "the accelerator has a price"
    return cost.usd


def _known_runs() -> Figure:
    tpu_v4 = replace(accelerator("tpu-v4"), usd_per_hour=TPU_V4_YEAR_USD_PER_HOUR)
    gpt3, palm = training_flops(GPT3_N, GPT3_TOKENS), training_flops(PALM_N, PALM_TOKENS)
    tpu = f"TPU v4 (275 TFLOP/s) at {100 * PALM_MFU:.1f} % for ${TPU_V4_YEAR_USD_PER_HOUR} an hour"
    palm_usd = _priced(training_cost(palm, tpu_v4, mfu=PALM_MFU))
    return Figure(
        "3",
        "what known runs cost",
        "GPT-3-class training costs about $1.4M by one estimate, near $5M by another; PaLM 540B on 6,144 TPUs "
        "$9-17M, $11.2M in one table; OPT-175B took 1/7 of GPT-3's compute.",
        [
            f"GPT-3 6 N D = {gpt3:.3g} FLOP; PaLM 780e9 tokens, {palm:.3g} FLOP (arXiv:2204.02311)",
            "OPT: 180e9 tokens; 75 t of CO2 against GPT-3's 500 t (arXiv:2205.01068, sections 2.3 and 6)",
        ],
        [
            Claim(
                name="$1.4M over GPT-3's FLOP",
                unit="USD/FLOP",
                published=about(4.4e-18, 0.02),
                computed=1.4e6 / gpt3,
            ),
            Claim(
                name="$11.2M over PaLM's FLOP",
                unit="USD/FLOP",
                published=about(4.4e-18, 0.02),
                computed=11.2e6 / palm,
            ),
            Claim(
                name="GPT-3, low estimate",
                unit="USD",
                published=about(1.4e6, 0.05, "about 1.4e6"),
                assumption=tpu,
                assumed=_priced(training_cost(gpt3, tpu_v4, mfu=PALM_MFU)),
            ),
            Claim(
                name="GPT-3, high estimate",
                unit="USD",
                published=about(5e6, 0.1, "near 5e6"),
                assumption="V100 that reach 28 TFLOP/s for $1.50 an hour (Lambda, 2020)",
                assumed=_priced(training_cost(gpt3, _V100, mfu=1.0)),
            ),
            Claim(
                name="PaLM, in one table",
                unit="USD",
                published=about(11.2e6, 0.02),
                assumption=tpu,
                assumed=palm_usd,
            ),
            Claim(
                name="PaLM, range",
                unit="USD",
                published=between(9e6, 17e6),
                assumption=tpu,
                assumed=palm_usd,
            ),
            Claim(
                name="OPT-175B over GPT-3, compute",
                published=about(1 / 7, 0.1, "1/7"),
                computed=training_flops(175e9, 180e9) / gpt3,
                because=(
                    "the same size on 180e9 tokens is six tenths of the compute; what is a seventh is the "
                    f"carbon, 75 t / 500 t = 1/{500 / 75:.1f}"
                ),
            ),
        ],
    )


def _hundred_trillion() -> Figure:
    h100 = accelerator("h100-sxm")

    def devices(tokens: float) -> float:
        hours = training_cost(training_flops(1e14, tokens), h100, mfu=0.4).device_hours
        return hours / (90 * 24)

    chinchilla_tokens = 1e14 * CHINCHILLA_TOKENS / CHINCHILLA_N
    return Figure(
        "5",
        "a model of 100 trillion parameters",
        "A 100-trillion-parameter model would need 4 million H100s.",
        [f"H100 SXM: {h100.peak_flops / 1e12:g} TFLOP/s, bf16 dense"],
        [
            Claim(
                name="H100s",
                published=about(4e6, 0.05),
                assumption="20e12 tokens, 40 % utilisation, 90 days",
                assumed=devices(20e12),
            ),
            Claim(
                name="H100s at 20 tokens a parameter",
                published=about(390e6, 0.02, "about 390e6"),
                assumption="40 % utilisation, 90 days",
                assumed=devices(chinchilla_tokens),
            ),
        ],
    )


def _jetmoe() -> Figure:
    flops = training_flops(2.2e9, 1.25e12)
    hours = 30_000.0
    h100 = accelerator("h100-sxm")
    total, active = find_model("jetmoe-8b").parameters, 2.2e9
    llama_7b = training_flops(6.74e9, 2e12)
    return Figure(
        "6",
        "a mixture of experts for a tenth of a million",
        "JetMoE-8B reaches LLaMA-2-7B-class quality for about $0.1M: 30,000 H100-hours, 1.25T tokens, 2.2B active "
        "parameters, about 15 % MFU. Total parameters set memory, active parameters set compute; a gate that favours some "
        "experts starves the others.",
        [
            f"JetMoE: {total:.3g} parameters (arXiv:2404.07413)",
            "Llama 2 7B: 6.74e9 on 2e12 (arXiv:2307.09288)",
        ],
        [
            Claim(
                name="utilisation",
                published=about(0.15, 0.05, "about 0.15"),
                computed=flops / (hours * 3600 * h100.peak_flops),
            ),
            Claim(
                name="cost",
                unit="USD",
                published=about(1e5, 0.15, "about 1e5"),
                assumption=f"${H100_USD_PER_HOUR} for an H100-hour (Lambda, 2024)",
                assumed=hours * H100_USD_PER_HOUR,
            ),
            Claim(name="training compute over Llama 2 7B's", computed=flops / llama_7b),
            Claim(name="memory over a dense model of its compute", computed=total / active),
            Claim(
                name="load of the least used of 8 experts, over its fair share",
                assumption="a gate that favours experts by Zipf's law (1, 1/2, ... 1/8)",
                assumed=8 * (1 / 8) / sum(1 / rank for rank in range(1, 9)),
            ),
        ],
    )


def _gemma() -> Figure:
    flops = training_flops(9.24e9, 8e12)
    h100 = replace(accelerator("h100-sxm"), usd_per_hour=H100_USD_PER_HOUR)
    cny = _priced(training_cost(flops, h100)) * cny_per_usd()
    implied = 1.85e6 / cny_per_usd() / flops
    days = (date(2024, 9, 5) - date(2024, 6, 27)).days
    return Figure(
        "7",
        "a 9B model's price",
        "Gemma-2-9B cost about 1.85M CNY to train; two months later a 4B model matched it.",
        [
            "Gemma 2 9B: 9.24e9 on 8e12 tokens (arXiv:2408.00118), 2024-06-27; MiniCPM3-4B: 2024-09-05",
            f"{cny_per_usd():.2f} CNY a dollar (catalogue)",
        ],
        [
            Claim(
                name="cost",
                unit="CNY",
                published=about(1.85e6, 0.15, "about 1.85e6"),
                assumption=f"H100 at 40 % for ${H100_USD_PER_HOUR} an hour (Lambda, 2024)",
                assumed=cny,
                because=(
                    f"1.85M CNY for {flops:.3g} FLOP is {implied:.2g} USD/FLOP, {USD_PER_FLOP / implied:.1f} times "
                    f"cheaper than entry 3's; at entry 3's price it comes to ${flops * USD_PER_FLOP / 1e6:.2f}M, so "
                    "the figure may be dollars"
                ),
            ),
            Claim(
                name="time to the 4B model",
                unit="months",
                published=about(2, 0.25, "two"),
                computed=days / DAYS_PER_MONTH,
            ),
        ],
    )
