"""Figures 9 to 12 and 15: what serving costs."""

from __future__ import annotations

from understudy.economics.fleet import devices_by_flop
from understudy.economics.hardware.catalogue import find_cloud_price
from understudy.economics.scaling.flop import TRAINING_FLOP, inference_flops, training_flops
from understudy.planning.figures.figure import Claim, Figure, about, between
from understudy.planning.figures.inputs import (
    CHINCHILLA_N,
    CHINCHILLA_TOKENS,
    GPT3_N,
    GPT3_TOKENS,
    SPARSITY,
    TOKENS_PER_WORD,
    USD_PER_FLOP,
    accelerator,
)

__all__ = ["figures"]

_QUESTION_USD = 0.00014611


def figures() -> list[Figure]:
    """Entries 9 to 12 and 15."""
    return [_one_question(), _servers(), _search(), _next_generation(), _company()]


def _one_question() -> Figure:
    tokens = (50 + 1_000) * TOKENS_PER_WORD
    usd = inference_flops(GPT3_N, tokens) * USD_PER_FLOP
    t4 = find_cloud_price("g4dn.xlarge")
    return Figure(
        "9",
        "the price of a question",
        "A 50-word question with a 1,000-word answer takes $0.00014611 of cloud compute, so $1 buys 6,843 "
        "questions.",
        [
            f"T4 on demand: ${t4.usd_per_hour} an hour ({t4.provider} {t4.id})",
            f"{TOKENS_PER_WORD:.3g} tokens a word; 175e9 parameters at {USD_PER_FLOP:.2g} USD/FLOP (entry 3)",
        ],
        [
            Claim(name="questions for $1", published=about(6843, 0.001, "6,843"), computed=1 / _QUESTION_USD),
            Claim(
                name="one second of one T4 instance",
                unit="USD",
                published=about(_QUESTION_USD, 0.001, f"{_QUESTION_USD}"),
                assumption="a question takes one T4 for one second",
                assumed=t4.usd_per_device_hour / 3600,
            ),
            Claim(
                name="2 N FLOP a token on 175B",
                unit="USD",
                published=about(_QUESTION_USD, 0.1, f"{_QUESTION_USD}"),
                computed=usd,
                because=f"{tokens:,.0f} tokens through 175B parameters do not fit a second of a T4",
            ),
        ],
    )


def _servers() -> Figure:
    server_flops = 8 * SPARSITY * accelerator("a100-80gb-sxm").peak_flops
    common = {
        "calls_per_user_day": 10,
        "tokens_per_call": 1_000,
        "flop_per_token": 2 * GPT3_N,
        "device_flop_per_second": server_flops,
        "utilisation": 1.0,
        "peak_factor": 5.0,
    }
    words = "10 calls of 1,000 tokens a user and day, 2 N FLOP on 175B, peak 5 times the mean"
    busy = devices_by_flop(users=500e6, **common)
    return Figure(
        "10",
        "servers for a chat service",
        "ChatGPT-scale load: about 50 EFLOP/s on about 10,000 servers; 500 million users would need 230,000, "
        "against 130,000 AI servers shipped worldwide in 2022.",
        [
            "a server: 8 A100 at 624 TFLOP/s, the peak with sparsity, as its maker rates it (5 PFLOP/s)",
            (
                "neither the users of today nor the share of its peak that a server reaches was published: both are "
                "solved back from the statement, so they are shown and decide nothing"
            ),
        ],
        [
            Claim(
                name="servers in 50 EFLOP/s",
                published=about(10_000, 0.05, "about 10,000"),
                assumption="servers of 8 A100 counted at their peak with sparsity",
                assumed=5e19 / server_flops,
            ),
            Claim(
                name="share of a server's peak reached, back-solved from 230,000 for 500M users",
                assumption=words,
                assumed=busy / 230_000,
            ),
            Claim(
                name="users behind 10,000 servers, back-solved by proportion",
                computed=500e6 * 10_000 / 230_000,
            ),
            Claim(name="years of the world's shipments", computed=230_000 / 130_000, unit="years"),
        ],
    )


def _search() -> Figure:
    queries = 3.3e12 / 2
    return Figure(
        "11",
        "half of a search engine's queries",
        "Serving half of a large search engine's queries with a large chat model adds about $6B a year.",
        [
            "queries: 3.3e12 a year, 9.0e9 a day (Morgan Stanley, 2022)",
            "cost of a query to ChatGPT: $0.0036 (SemiAnalysis, 2023)",
        ],
        [
            Claim(name="implied cost of a query", unit="USD", computed=6e9 / queries),
            Claim(
                name="cost a year",
                unit="USD",
                published=about(6e9, 0.1, "about 6e9"),
                assumption="3.3e12 queries a year, $0.0036 each",
                assumed=queries * 0.0036,
            ),
            Claim(
                name="arithmetic alone",
                unit="USD",
                assumption="100 tokens, 175B, 4.4e-18 USD/FLOP (entry 3)",
                assumed=queries * inference_flops(GPT3_N, 100) * USD_PER_FLOP,
            ),
        ],
    )


def _next_generation() -> Figure:
    gpt4 = 2.1e25
    gpt3 = training_flops(GPT3_N, GPT3_TOKENS)
    optimal = (gpt4 / (TRAINING_FLOP * CHINCHILLA_TOKENS / CHINCHILLA_N)) ** 0.5
    return Figure(
        "12",
        "the next generation's cost",
        "A next model generation comes at 8 to 10 times the inference cost of the last.",
        [
            "GPT-3 6 N D, GPT-4 2.1e25 FLOP (Epoch AI's estimate)",
            (
                f"as published: GPT-4's FLOP at 20 tokens a parameter is {optimal / 1e9:.0f}B, over GPT-3's real 175B; GPT-3 was "
                f"trained on {GPT3_TOKENS / GPT3_N:.1f} tokens a parameter, far from the optimum"
            ),
            "the price a token: GPT-3 davinci $20, GPT-4 $30 in / $60 out per million",
        ],
        [
            Claim(
                name="parameters of the next over the last, and so inference",
                published=between(8, 10),
                computed=optimal / GPT3_N,
                assumption=(
                    "a generation is 64 to 100 times the compute, GPT-4's being in that range, and both ends of it lie on "
                    "the compute-optimal frontier, where parameters grow as the square root (entry 2)"
                ),
                assumed=(gpt4 / gpt3) ** 0.5,
            ),
            Claim(name="growth of training compute", computed=gpt4 / gpt3),
        ],
    )


def _company() -> Figure:
    return Figure(
        "15",
        "a large-model company",
        "Running a large-model company at $8M a month: tokens a month at a given price to break even.",
        ["no price was published; three prices a million tokens, before the cost of serving them"],
        [
            Claim(name=f"tokens a month at ${price:g} a million", unit="tokens", computed=8e6 / price * 1e6)
            for price in (0.1, 1.0, 10.0)
        ],
    )
