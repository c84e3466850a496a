"""Whether a call fits the positions that a model knows: an error where they end, a warning where it was not trained.

It does not know how much worse answers get beyond the trained context.
"""

from __future__ import annotations

from understudy.economics.transformer.shape import ModelShape
from understudy.errors import ConfigError

__all__ = ["context_warning"]


def context_warning(shape: ModelShape, n_input: int, n_output: int) -> str | None:
    """Why a call of so many tokens is not to be relied on; ``None`` where nothing speaks against it.

    Raises
    ------
    ConfigError
        If positions are learnt, and there are fewer.
    """
    tokens = n_input + n_output
    if 0 < shape.n_positions < tokens:
        raise ConfigError(
            f"the model has {shape.n_positions:,} learnt positions, and a call takes one for every token",
            given=f"--input-tokens {n_input} and --output-tokens {n_output}: {tokens:,} tokens",
            todo=f"give --input-tokens and --output-tokens of {shape.n_positions:,} together at most",
        )
    if shape.max_positions is not None and tokens > shape.max_positions:
        return (
            f"a call of {tokens:,} tokens is longer than the {shape.max_positions:,} that the model was made for: "
            "answers may be useless"
        )
    return None
