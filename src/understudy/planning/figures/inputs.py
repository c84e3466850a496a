"""Published sizes, data and prices that several figures take, each with its source.

Devices, prices and currencies come from the catalogue of :mod:`understudy.economics.hardware`; here is only
what stands in no catalogue.
"""

from __future__ import annotations

from understudy.economics.hardware.catalogue import currencies
from understudy.economics.training_cost import Accelerator
from understudy.planning.accelerators import accelerator_of

__all__ = [
    "CHINCHILLA_N",
    "CHINCHILLA_TOKENS",
    "GPT3_N",
    "GPT3_TOKENS",
    "H100_USD_PER_HOUR",
    "PALM_MFU",
    "PALM_N",
    "PALM_TOKENS",
    "SPARSITY",
    "TOKENS_PER_WORD",
    "TPU_V4_YEAR_USD_PER_HOUR",
    "USD_PER_FLOP",
    "accelerator",
    "cny_per_usd",
]

GPT3_N, GPT3_TOKENS = 175e9, 300e9
"""Brown et al., arXiv:2005.14165, table 2.1."""
CHINCHILLA_N, CHINCHILLA_TOKENS = 70e9, 1.4e12
"""Hoffmann et al., arXiv:2203.15556, table 4."""
PALM_N, PALM_TOKENS = 540e9, 780e9
"""Chowdhery et al., arXiv:2204.02311, section 1."""
PALM_MFU = 0.462
"""The same, table 3."""
TPU_V4_YEAR_USD_PER_HOUR = 2.03
"""A chip for an hour with a year's commitment: Google Cloud's list price of 2022, 63 % of $3.22 on demand."""
H100_USD_PER_HOUR = 3.29
"""One H100 SXM on demand at a specialised provider: Lambda's list price at the end of 2024. Large clouds ask more (the
catalogue's AWS instance: $12.29), long contracts less."""
SPARSITY = 2.0
"""Factor by which NVIDIA's data sheets rate the A100 higher with structured sparsity than without."""
TOKENS_PER_WORD = 4 / 3
"""English, OpenAI's rule of thumb: 75 words are 100 tokens."""
USD_PER_FLOP = 1.4e6 / (6 * GPT3_N * GPT3_TOKENS)
"""Price of a FLOP of training by entry 3: $1.4M for GPT-3."""


def accelerator(device: str) -> Accelerator:
    """A device of the catalogue with its 16-bit rate and its cheapest rented hour."""
    return accelerator_of(device)[0]


def cny_per_usd() -> float:
    """Yuan a dollar, by the catalogue."""
    return currencies()["CNY"].units_per_usd
