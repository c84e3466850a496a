"""Figures 1, 2 and 8: size and data, and what a year of density does to them."""

from __future__ import annotations

import math

from understudy.economics.scaling.constants import scaling_law
from understudy.economics.scaling.flop import INFERENCE_FLOP, TRAINING_FLOP, matching_inference_tokens
from understudy.planning.figures.figure import Claim, Figure, about, at_most, between
from understudy.planning.figures.inputs import (
    CHINCHILLA_N,
    CHINCHILLA_TOKENS,
    GPT3_N,
    GPT3_TOKENS,
)

__all__ = ["figures"]


def figures() -> list[Figure]:
    """Entries 1, 2 and 8."""
    return [_training_against_inference(), _tokens_per_parameter(), _a_year_of_density()]


def _training_against_inference() -> Figure:
    tokens = matching_inference_tokens(GPT3_TOKENS)
    calls = 10_000_000 * 10 * 1_000
    return Figure(
        "1",
        "inference against training",
        "Training takes 6 N FLOP a token and inference 2 N: a third. Past some volume, inference outspends "
        "training.",
        ["GPT-3: 300e9 tokens (arXiv:2005.14165)"],
        [
            Claim(
                name="inference over training, per token",
                published=about(1 / 3, 0.01, "1/3"),
                computed=INFERENCE_FLOP / TRAINING_FLOP,
            ),
            Claim(
                name="inference tokens that equal GPT-3's training",
                unit="tokens",
                computed=tokens,
            ),
            Claim(
                name="time to it",
                unit="days",
                assumption="10M users a day with 10 calls of 1,000 tokens each",
                assumed=tokens / calls,
            ),
        ],
    )


def _tokens_per_parameter() -> Figure:
    hoffmann, besiroglu = scaling_law("hoffmann2022"), scaling_law("besiroglu2024")
    at_chinchilla = float(hoffmann.loss(CHINCHILLA_N, CHINCHILLA_TOKENS))
    at_gpt3 = float(hoffmann.loss(GPT3_N, GPT3_TOKENS))
    return Figure(
        "2",
        "compute-optimal data",
        "Parameters and tokens grow together, about 20 tokens a parameter: Chinchilla 70B on 1.4T beats GPT-3 "
        "175B on 300B (under 2 : 1). Chinchilla's corpus is about 5 times GPT-3's.",
        [
            "Chinchilla: 70e9, 1.4e12 (arXiv:2203.15556)",
            "GPT-3: 175e9, 300e9 (arXiv:2005.14165)",
            "exponent: constants besiroglu2024; losses: hoffmann2022",
        ],
        [
            Claim(
                name="Chinchilla, tokens a parameter",
                published=about(20, 0.05),
                computed=CHINCHILLA_TOKENS / CHINCHILLA_N,
            ),
            Claim(
                name="GPT-3, tokens a parameter",
                published=at_most(2, "under 2"),
                computed=GPT3_TOKENS / GPT3_N,
            ),
            Claim(
                name="corpora, Chinchilla over GPT-3",
                published=about(5, 0.1, "about 5"),
                computed=CHINCHILLA_TOKENS / GPT3_TOKENS,
            ),
            Claim(
                name="exponent of parameters in compute",
                published=between(0.45, 0.55, "together: 0.5"),
                computed=besiroglu.parameters_exponent,
            ),
            Claim(
                name="loss, Chinchilla less GPT-3",
                unit="nats",
                published=at_most(0, "below 0"),
                computed=at_chinchilla - at_gpt3,
            ),
        ],
    )


def _a_year_of_density() -> Figure:
    doublings = 365 / 100
    return Figure(
        "8",
        "a year of density",
        "A year at a doubling of density every 100 days takes a 750B model's ability to under 60B, and its "
        "training compute to 1/12, data held fixed.",
        [],
        [
            Claim(
                name="size after a year",
                unit="parameters",
                published=about(59.8e9, 0.01, "59.8e9"),
                computed=750e9 / 2**doublings,
            ),
            Claim(
                name="compute after over before",
                published=about(1 / 12, 0.05, "1/12"),
                computed=math.exp(-doublings * math.log(2)),
            ),
        ],
    )
