"""A teacher's generations as a log of full requests and answers, as an OpenAI-compatible endpoint's client records them:
one JSON line per call, with the likeliest tokens at each position.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import PreTrainedModel

from understudy.lm.distil_on_policy import sample_answers

__all__ = ["record"]


@torch.no_grad()
def record(
    model: PreTrainedModel,
    tokeniser: Tokenizer,
    inputs: Sequence[str],
    path: Path,
    *,
    after: str,
    end_id: int,
    most_new_tokens: int,
    top: int = 5,
    seed: int | None = None,
    name: str = "gallery-teacher",
) -> None:
    """Ask the teacher, at temperature 1 with a `seed`, else greedily, and write what it said; `after` stands behind
    each input in its prompt.
    """
    dice = None if seed is None else torch.Generator().manual_seed(seed)
    with path.open("w", encoding="utf-8") as file:
        for begin in range(0, len(inputs), 250):
            part = inputs[begin : begin + 250]
            prompts = [tokeniser.encode(one + after).ids for one in part]
            answers = sample_answers(
                model, prompts, end_id=end_id, most_new_tokens=most_new_tokens, generator=dice
            )
            for text, prompt, answer in zip(part, prompts, answers, strict=True):
                ids = torch.tensor([[*prompt, *answer]])
                logs = model(input_ids=ids).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
                file.write(json.dumps(_exchange(tokeniser, text, answer, logs, end_id, top, name)) + "\n")


def _exchange(
    tokeniser: Tokenizer,
    text: str,
    answer: Sequence[int],
    logs: torch.Tensor,
    end_id: int,
    top: int,
    name: str,
) -> dict[str, Any]:
    best = logs.topk(top)
    content = [
        {
            **_told(tokeniser, token, float(logs[at, token])),
            "top_logprobs": [
                _told(tokeniser, int(other), float(value))
                for other, value in zip(best.indices[at], best.values[at], strict=True)
            ],
        }
        for at, token in enumerate(answer)
    ]
    said = tokeniser.decode([token for token in answer if token != end_id])
    is_over = bool(answer) and answer[-1] == end_id
    return {
        "request": {"model": name, "messages": [{"role": "user", "content": text}]},
        "response": {
            "model": name,
            "choices": [
                {
                    "message": {"role": "assistant", "content": said},
                    "finish_reason": "stop" if is_over else "length",
                    "logprobs": {"content": content},
                }
            ],
        },
    }


def _told(tokeniser: Tokenizer, token: int, log_probability: float) -> dict[str, Any]:
    text = tokeniser.decode([token], skip_special_tokens=False)
    return {"token": text, "bytes": list(text.encode()), "logprob": round(log_probability, 5)}
