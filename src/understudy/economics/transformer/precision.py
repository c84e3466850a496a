"""Number formats of weights and caches: bits per number, the scales of quantised ones included.

Plain formats are exact. A quantised format carries one 16-bit scale per group, as GGUF's Q8_0 and Q4_0 do
(blocks of 32: 8.5 and 4.5 bits) and, without its 4-bit zero point (another 4/128 = 0.03 bits), GPTQ and AWQ
at groups of 128. It does not know mixed formats (Q4_K_M keeps some matrices at 6 bits).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from understudy.errors import ConfigError

__all__ = ["PRECISION_WORDS", "Precision", "parse_precision"]

PRECISION_WORDS = (
    "fp32, bf16, fp16, fp8, int8, int4, or int2 to int8 with a group size: int4-g128 (g0: no scales)"
)
_PLAIN = {"fp32": 32, "bf16": 16, "fp16": 16, "fp8": 8}
_QUANTISED = re.compile(r"int([2-8])(?:-g(\d{1,5}))?\Z")
_DEFAULT_GROUP = 32


@dataclass(frozen=True, slots=True)
class Precision:
    """A number format.

    Attributes
    ----------
    name
        As given.
    bits
        Of one number.
    group_size
        Numbers that share a scale; 0 where there are no scales.
    bits_per_group
        Of the scale, and of a zero point where there is one (32 for 16 bits each).
    """

    name: str
    bits: int
    group_size: int = 0
    bits_per_group: int = 16

    @property
    def bits_per_number(self) -> float:
        """Bits of one number and its share of the scale."""
        return self.bits + (self.bits_per_group / self.group_size if self.group_size else 0.0)

    @property
    def bytes_per_number(self) -> float:
        """Bytes of one number and its share of the scale."""
        return self.bits_per_number / 8

    @property
    def compute(self) -> str:
        """The format that arithmetic runs in: weights of whole numbers are widened to 16 bits, as engines that
        quantise weights only do; engines that quantise activations too are faster where a prompt is read.
        """
        return self.name if self.name in _PLAIN else "bf16"


def parse_precision(name: str) -> Precision:
    """A format by name; see :data:`PRECISION_WORDS`. ``int8`` and ``int4`` have groups of 32.

    Raises
    ------
    ConfigError
        If the name is none of them.
    """
    word = name.strip().lower()
    if word in _PLAIN:
        return Precision(word, _PLAIN[word])
    found = _QUANTISED.match(word)
    if found is None:
        raise ConfigError("a number format is not known", given=repr(name), todo=f"one of {PRECISION_WORDS}")
    group = _DEFAULT_GROUP if found[2] is None else int(found[2])
    return Precision(word, int(found[1]), group)
