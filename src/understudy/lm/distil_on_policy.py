"""``on_policy``: some texts of every step are written by the student, and the teacher says what it would have written.

Makes an objective for the training loop of :func:`understudy.lm.losses.on_policy.on_policy_loss`: takes a pack apart
into prompts and answers, samples from the student, asks the teacher. Slow where sampling is slow, which it is on a CPU.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Sequence

import torch
from transformers import PreTrainedModel

from understudy.lm.distil import Distillation
from understudy.lm.losses.on_policy import Texts, on_policy_loss
from understudy.lm.packing import Pack
from understudy.lm.placed_rows import PlacedRow, rows_of
from understudy.lm.train import Objective, next_token_loss

__all__ = ["on_policy_objective", "sample_answers"]


def on_policy_objective(
    how: Distillation, teacher: PreTrainedModel, *, end_id: int, most_new_tokens: int | None = None
) -> Objective:
    """``(1 - weight) CE on recorded texts + weight D``, D on recorded and on sampled texts by `how.student_share`.

    Parameters
    ----------
    how
        With the loss ``on_policy``.
    teacher
        With the student's tokeniser; put into evaluation mode.
    end_id
        The token that ends an answer.
    most_new_tokens
        Longest answer that the student may write; ``None``: the longest recorded one of the batch.
    """
    teacher.eval()
    divergence = how.pointwise()

    def objective(model: PreTrainedModel, pack: Pack) -> torch.Tensor:
        rows = rows_of(pack)
        device = pack.tokens_BS.device
        # The draws are a function of batch and seed, so that a resumed run is the unbroken one.
        dice = torch.Generator().manual_seed(_seed_of(pack, how.seed))
        limit = most_new_tokens or max(len(row.answered) for row in rows)

        def sample(numbers: torch.Tensor) -> Texts:
            prompts = [rows[int(at)].prompt for at in numbers]
            answers = sample_answers(model, prompts, end_id=end_id, most_new_tokens=limit, generator=dice)
            return _texts(prompts, answers, end_id, device)

        step = on_policy_loss(
            _recorded(rows, end_id, device),
            sample=sample,
            student=lambda texts: _logits(model, texts),
            teacher=lambda texts: _logits(teacher, texts),
            divergence=divergence,
            student_share=how.student_share,
            temperature=how.temperature,
            generator=dice,
        )
        # The loop divides by the labels; this loss is a mean over texts already.
        taught = how.weight * how.temperature**2 * step.loss * pack.n_labels
        if how.weight == 1:
            return taught
        return taught + (1 - how.weight) * next_token_loss(model, pack)

    return objective


@torch.no_grad()
def sample_answers(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    *,
    end_id: int,
    most_new_tokens: int,
    generator: torch.Generator | None = None,
) -> list[tuple[int, ...]]:
    """Let a model write, at temperature 1 with a `generator`, else greedily; ends with `end_id` unless it was cut.

    Prompts are padded in front and hidden there, so a row's answer depends on others by rounding only.
    """
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    width = max(map(len, prompts))
    tokens = torch.tensor([[*[end_id] * (width - len(one)), *one] for one in prompts], device=device)
    is_token = torch.tensor([[0] * (width - len(one)) + [1] * len(one) for one in prompts], device=device)
    positions = (is_token.cumsum(1) - 1).clamp(min=0)
    cache, name = None, _cache_name(model)
    written = torch.zeros((len(prompts), 0), dtype=torch.long, device=device)
    is_over = torch.zeros(len(prompts), dtype=torch.bool, device=device)
    step, at = tokens, positions
    for _ in range(most_new_tokens):
        found = model(
            input_ids=step, attention_mask=is_token, position_ids=at, use_cache=True, **{name: cache}
        )
        cache, logits = getattr(found, name), found.logits[:, -1].float().cpu()
        if generator is None:
            chosen = logits.argmax(-1)
        else:
            chosen = torch.multinomial(logits.softmax(-1), 1, generator=generator)[:, 0]
        chosen = torch.where(is_over.cpu(), end_id, chosen).to(device)
        written = torch.cat((written, chosen[:, None]), 1)
        is_over = is_over | (chosen == end_id)
        if bool(is_over.all()):
            break
        step, at = chosen[:, None], at[:, -1:] + 1
        is_token = torch.cat((is_token, torch.ones_like(chosen[:, None])), 1)
    model.train(was_training)
    return [_until(row, end_id) for row in written.tolist()]


def _cache_name(model: PreTrainedModel) -> str:
    """What the model calls its keys and values: transformers 5 changed the word on the way."""
    names = inspect.signature(type(model).forward).parameters
    return "cache" if "cache" in names else "past_key_values"


def _until(tokens: list[int], end_id: int) -> tuple[int, ...]:
    return tuple(tokens[: tokens.index(end_id) + 1] if end_id in tokens else tokens)


def _logits(model: PreTrainedModel, texts: Texts) -> torch.Tensor:
    # Padding stands behind, and attention is causal: nothing that counts sees it.
    logits: torch.Tensor = model(input_ids=texts.tokens, use_cache=False).logits
    return logits


def _recorded(rows: Sequence[PlacedRow], end_id: int, device: torch.device) -> Texts:
    return _texts([row.prompt for row in rows], [row.answered for row in rows], end_id, device)


def _texts(
    prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]], pad_id: int, device: torch.device
) -> Texts:
    shape = len(prompts), max(len(one) + len(two) for one, two in zip(prompts, answers, strict=True))
    tokens = torch.full(shape, pad_id)
    is_token, is_answer = torch.zeros(shape, dtype=torch.bool), torch.zeros(shape, dtype=torch.bool)
    for at, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
        end = len(prompt) + len(answer)
        tokens[at, :end] = torch.tensor([*prompt, *answer])
        is_token[at, :end] = True
        is_answer[at, len(prompt) : end] = True
    return Texts(tokens.to(device), is_token.to(device), is_answer.to(device))


def _seed_of(pack: Pack, seed: int) -> int:
    digest = hashlib.sha256(pack.tokens_BS.cpu().numpy().tobytes() + seed.to_bytes(8, "little"))
    return int.from_bytes(digest.digest()[:7], "little")
