"""A family of decoders that differ in size and data only: which ones, and how each is trained.

Sizes times tokens per parameter make a grid; one member more, larger than all, is held out to be predicted. Shapes,
steps and learning rates follow from size and tokens by rules, so that a family is named by a handful of numbers. Knows
no fits: :mod:`understudy.lm.family_forecast` has them.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from understudy.errors import ConfigError
from understudy.lm.config import DecoderConfig
from understudy.lm.corpus import Corpus
from understudy.lm.decoder import build_decoder
from understudy.lm.job import Job, run_job
from understudy.lm.objective import next_token_loss
from understudy.lm.pace import Pace
from understudy.lm.packing import pack
from understudy.lm.record import StepRecord
from understudy.lm.settings import TrainSettings

__all__ = ["Member", "learning_rate_for", "plan_family", "seconds_per_token", "shape_of_size", "train_member"]

_WIDEST = 16_384


@dataclass(frozen=True, slots=True)
class Member:
    """One model of a family.

    Attributes
    ----------
    shape, settings
        The decoder, and how it is trained.
    is_held_out
        Whether it is there to be predicted.
    """

    shape: DecoderConfig
    settings: TrainSettings
    is_held_out: bool

    @property
    def n_parameters(self) -> int:
        """All trained parameters; the embedding is the output matrix too and counts once."""
        return self.shape.n_parameters()

    @property
    def n_tokens(self) -> int:
        """Tokens trained on: whole steps."""
        return self.settings.schedule.n_steps * self.settings.batch_tokens

    @property
    def train_flops(self) -> float:
        """Operations of the whole training, ``6 N D`` (Kaplan et al. 2020, section 2.1)."""
        return 6.0 * self.n_parameters * self.n_tokens

    @property
    def name(self) -> str:
        """Folder and row of the member."""
        return f"{self.n_parameters}-parameters-{self.n_tokens}-tokens"


def shape_of_size(n_parameters: float, *, vocab_size: int, context_tokens: int) -> DecoderConfig:
    """Build the dense decoder of about `n_parameters`, embedding included.

    Depth grows with width d as ``d / (16 + d / 32)``, 2 at least: 4 layers at 64, 16 at 512, 26 at 2048, as published
    families have them. Heads are 8 to 64 wide. Of the widths in steps of 8, the one with a feed-forward part nearest
    to ``8 d / 3`` is taken, and that part then makes up the difference.

    Raises
    ------
    ConfigError
        If so few parameters cannot hold the vocabulary, or there are too many for any width.
    """
    best: tuple[float, DecoderConfig] | None = None
    for width in range(8, _WIDEST + 1, 8):
        layers = max(2, round(width / (16 + width / 32)))
        head = next(
            size for size in (64, 32, 16, 8) if width % size == 0 and (width >= 8 * size or size <= 16)
        )
        heads = width // head
        bare = DecoderConfig(vocab_size, width, layers, heads, heads, 8, context_tokens)
        per_feed_forward = 3 * width * layers
        free = n_parameters - (bare.n_parameters() - 8 * per_feed_forward)
        d_ff = round(free / per_feed_forward / 8) * 8
        if d_ff < 8:
            break
        gap = abs(math.log(d_ff / (width * 8 / 3)))
        if best is None or gap < best[0]:
            best = gap, replace(bare, d_ff=d_ff)
    if best is None or best[0] > math.log(4):
        least = DecoderConfig(vocab_size, 8, 2, 1, 1, 24, context_tokens).n_parameters()
        raise ConfigError(
            "no decoder of this size is well formed",
            given=f"{n_parameters:,.0f} parameters, a vocabulary of {vocab_size:,}",
            todo=f"take {least:,} or more, or a smaller vocabulary",
        )
    return best[1]


def learning_rate_for(train_flops: float) -> float:
    """Peak learning rate, ``0.3118 C^-0.125`` (DeepSeek LLM, Bi et al. 2024, equation 1).

    Fitted there on 1e17 to 2e19 operations; below that it is a guess, for which 0.02 is the most taken.
    """
    return float(min(0.3118 * train_flops**-0.125, 0.02))


def plan_family(
    sizes: Sequence[float],
    multiples: Sequence[float],
    *,
    held_out: float,
    held_out_multiple: float,
    vocab_size: int,
    base: TrainSettings,
    rate_factor: float = 1.0,
) -> tuple[Member, ...]:
    """Give the members, smallest training first, the held-out one last.

    Parameters
    ----------
    sizes, multiples
        Parameters; tokens per parameter. Two or more of each, and six members or more, so that a law with an
        irreducible term can be fitted and judged.
    held_out, held_out_multiple
        Of the member to predict; larger than all others.
    vocab_size
        Of all.
    base
        The recipe; its number of steps, warm-up and learning rate are replaced (the warm-up keeps its share).
    rate_factor
        On :func:`learning_rate_for`.

    Raises
    ------
    ConfigError
        On a grid that tells no law.
    """
    for name, values in (("sizes", sizes), ("multiples", multiples)):
        if len(set(values)) < 2 or not all(math.isfinite(value) and value > 0 for value in values):
            raise ConfigError(
                f"{name} must be two or more different numbers above 0", given=str(list(values))
            )
    if len(set(sizes)) * len(set(multiples)) < 6:
        raise ConfigError(
            "a family needs six members or more beside the one held out",
            given=f"{len(set(sizes))} sizes times {len(set(multiples))} multiples",
            todo="give more of either",
        )
    if not held_out > max(sizes) or not held_out_multiple > 0 or not rate_factor > 0:
        raise ConfigError(
            "the held-out member must be larger than all others, its multiple and the rate's factor above 0",
            given=f"{held_out:g} parameters, the largest is {max(sizes):g}; {held_out_multiple:g}, {rate_factor:g}",
        )
    grid = [(size, multiple, False) for size in set(sizes) for multiple in set(multiples)]
    grid = [*sorted(grid, key=lambda one: one[0] ** 2 * one[1]), (held_out, held_out_multiple, True)]
    share = base.schedule.warm_up_steps / base.schedule.n_steps
    members = []
    for size, multiple, is_held_out in grid:
        shape = shape_of_size(size, vocab_size=vocab_size, context_tokens=base.sequence_tokens)
        n_steps = max(round(multiple * shape.n_parameters() / base.batch_tokens), 2)
        schedule = replace(base.schedule, n_steps=n_steps, warm_up_steps=round(share * n_steps))
        member = Member(shape, replace(base, schedule=schedule), is_held_out)
        rate = rate_factor * learning_rate_for(member.train_flops)
        members.append(replace(member, settings=replace(member.settings, learning_rate=rate)))
    _check_different(members)
    return tuple(members)


def _check_different(members: Sequence[Member]) -> None:
    """Refuse members that come out as the same shape and tokens: one model would count as two points."""
    counts = Counter(member.name for member in members)
    twice = [name for name, count in counts.items() if count > 1]
    if twice or members[-1].n_parameters <= max(member.n_parameters for member in members[:-1]):
        raise ConfigError(
            "sizes or multiples are so near to each other that members come out the same",
            given=", ".join(twice) or f"held out: {members[-1].name}",
            todo="give numbers further apart; sizes come in steps of a feed-forward part, tokens in whole steps",
        )


def train_member(
    member: Member,
    corpus: Corpus,
    folder: Path,
    *,
    seed: int,
    hour_usd: float | None = None,
    on_step: Callable[[StepRecord, Pace], None] | None = None,
) -> dict[str, Any]:
    """Train a member, or go on with it, in a folder of its name in `folder`; return its row of the table.

    Raises
    ------
    ConfigError, ArtefactError, UnderstudyError
        As :func:`~understudy.lm.train.train`.
    """
    job = Job(member.shape, member.settings, seed, hour_usd=hour_usd)
    facts = run_job(job, corpus, folder / member.name, on_step=on_step)
    return {
        "model": member.name,
        "parameters": member.n_parameters,
        "tokens": member.n_tokens,
        "loss": facts["valid_loss"],
        "flops": member.train_flops,
        "learning_rate": member.settings.learning_rate,
        "seconds": facts["seconds"],
        "cost_usd": facts["cost_usd"],
        "held_out": "yes" if member.is_held_out else "no",
    }


def seconds_per_token(member: Member, *, n_steps: int = 3) -> float:
    """Time a few steps of the member's shape, forward and backward, on this machine's CPU: the fastest."""
    model = build_decoder(member.shape, seed=0)
    settings = member.settings
    shape = (settings.micro_sequences or settings.batch_sequences, settings.sequence_tokens)
    batch = pack(torch.randint(1, member.shape.vocab_size, shape), 0)
    best = math.inf
    for _ in range(n_steps):
        began = time.perf_counter()
        (next_token_loss(model, batch) / batch.n_labels).backward()  # type: ignore[no-untyped-call]
        model.zero_grad()
        best = min(best, time.perf_counter() - began)
    return best / (shape[0] * shape[1])
