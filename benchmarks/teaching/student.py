"""Trains one student on rows, and asks it: the same steps, order and first weights for every arm of a seed."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch.nn import functional
from transformers import PreTrainedModel

from understudy.lm.config import DecoderConfig
from understudy.lm.decoder import build_decoder, load_decoder
from understudy.lm.distil_on_policy import sample_answers
from understudy.lm.packing import NOTHING
from understudy.lm.rows import RowBatches, TokenRow
from understudy.lm.schedule import Schedule
from understudy.lm.settings import TrainSettings
from understudy.lm.train import Objective, next_token_loss, train

__all__ = ["Recipe", "answers_of", "item_losses", "row", "teach"]

_NEVER = 10**9


@dataclass(frozen=True, slots=True)
class Recipe:
    """A model's shape and how long it learns."""

    shape: DecoderConfig
    n_steps: int
    batch_sequences: int
    learning_rate: float
    sequence_tokens: int = 128

    def settings(self, seed: int) -> TrainSettings:
        """Settings of the loop, in float32 and with no checkpoint but the last."""
        return TrainSettings(
            Schedule(self.n_steps, "wsd", warm_up_steps=max(self.n_steps // 20, 1)),
            learning_rate=self.learning_rate,
            batch_sequences=self.batch_sequences,
            sequence_tokens=self.sequence_tokens,
            seed=seed,
            precision="float32",
            checkpoint_every=_NEVER,
            validate_every=_NEVER,
            validate_sequences=_NEVER,
        )


def row(tokeniser: Tokenizer, end_id: int, prompt: str, answer: str, *, weight: float = 1.0) -> TokenRow:
    """A prompt and its answer in tokens."""
    ids = [tuple(tokeniser.encode(text).ids) for text in (prompt, answer)]
    return TokenRow(ids[0], (*ids[1], end_id), weight)


def teach(
    recipe: Recipe,
    rows: Sequence[TokenRow],
    *,
    end_id: int,
    seed: int,
    folder: Path,
    objective: Objective = next_token_loss,
) -> tuple[PreTrainedModel, float]:
    """Train from scratch; gives the model and the processor seconds that it took."""
    shutil.rmtree(folder, ignore_errors=True)
    model = build_decoder(recipe.shape, seed=seed, end_token=end_id)
    data = RowBatches(rows, sequence_tokens=recipe.sequence_tokens, pad_id=end_id, seed=seed)
    before = time.process_time()
    run = train(model, data, recipe.settings(seed), folder, objective=objective)
    seconds = time.process_time() - before
    model = load_decoder(run.checkpoint)
    return model.eval(), seconds


def answers_of(
    model: PreTrainedModel, tokeniser: Tokenizer, prompts: Sequence[str], *, end_id: int, most_new_tokens: int
) -> list[str]:
    """What the model writes, greedily."""
    ids = [tokeniser.encode(prompt).ids for prompt in prompts]
    found: list[str] = []
    for begin in range(0, len(ids), 250):
        written = sample_answers(
            model, ids[begin : begin + 250], end_id=end_id, most_new_tokens=most_new_tokens
        )
        found += [tokeniser.decode([token for token in one if token != end_id]) for one in written]
    return found


@torch.no_grad()
def item_losses(model: PreTrainedModel, rows: Sequence[TokenRow]) -> tuple[list[float], list[int]]:
    """Cross-entropy of each row's answer in nats, and its tokens."""
    sums: list[float] = []
    for begin in range(0, len(rows), 50):
        part = rows[begin : begin + 50]
        width = max(map(len, part))
        tokens = torch.tensor([[*one.prompt, *one.answer, *[0] * (width - len(one))] for one in part])
        labels = torch.full_like(tokens, NOTHING)
        for at, one in enumerate(part):
            labels[at, len(one.prompt) : len(one)] = tokens[at, len(one.prompt) : len(one)]
        logits = model(input_ids=tokens, use_cache=False).logits[:, :-1]
        each = functional.cross_entropy(
            logits.flatten(0, 1), labels[:, 1:].flatten(), ignore_index=NOTHING, reduction="none"
        )
        sums += each.view(len(part), -1).sum(1).tolist()
    return sums, [len(one.answer) for one in rows]
