"""Published sizes, data and prices that several figures take, each with its source; laws by name.

Only constants that stand in no catalogue of the economics are here.
"""

from __future__ import annotations

__all__ = [
    "A100_FLOPS",
    "A100_SPARSE_FLOPS",
    "CHINCHILLA_N",
    "CHINCHILLA_TOKENS",
    "CNY_PER_USD_2024",
    "GPT3_N",
    "GPT3_TOKENS",
    "H100_FLOPS",
    "PALM_MFU",
    "PALM_N",
    "PALM_TOKENS",
    "TOKENS_PER_WORD",
    "TPU_V4_FLOPS",
    "TPU_V4_USD_PER_HOUR",
    "law",
]

GPT3_N, GPT3_TOKENS = 175e9, 300e9
"""Brown et al., arXiv:2005.14165, table 2.1."""
CHINCHILLA_N, CHINCHILLA_TOKENS = 70e9, 1.4e12
"""Hoffmann et al., arXiv:2203.15556, table 4."""
PALM_N, PALM_TOKENS = 540e9, 780e9
"""Chowdhery et al., arXiv:2204.02311, section 1."""
PALM_MFU = 0.462
"""The same, table 3."""
TPU_V4_FLOPS = 275e12
"""bf16; Jouppi et al., arXiv:2304.01433, table 4."""
TPU_V4_USD_PER_HOUR = 2.03
"""A chip for an hour with a year's commitment, Google Cloud's list price of 2022 (on demand 3.22)."""
A100_FLOPS, A100_SPARSE_FLOPS = 312e12, 624e12
"""bf16, dense and with structured sparsity; NVIDIA's A100 data sheet."""
H100_FLOPS = 989.4e12
"""bf16 dense, SXM; NVIDIA's H100 data sheet."""
CNY_PER_USD_2024 = 7.2
"""Mean of 2024, two digits; People's Bank of China, central parity."""
TOKENS_PER_WORD = 4 / 3
"""English, OpenAI's rule of thumb: 75 words are 100 tokens."""
