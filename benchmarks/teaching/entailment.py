"""e-SNLI with PaLM's labels and rationales (Hsieh et al. 2023): a small decoder from scratch, told reasons or not.

Answer and reason are two tasks of one student, told apart by the first word of the prompt; only the answer is asked for
at the end, as the likeliest of the three labels. Each arm sees the same answers in the same number of steps; with reasons
a step holds as many again, so it costs more time, and their tokens are weighed so that both tasks weigh the same.
"""

from __future__ import annotations

import json
import random
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import PreTrainedModel

from teaching.student import Recipe, row, teach
from understudy.lm.config import DecoderConfig
from understudy.lm.rows import RowBatches, TokenRow
from understudy.lm.tokeniser import end_id, train_tokeniser

__all__ = ["ARMS", "Entailment"]

ARMS = ("PaLM's labels", "PaLM's labels and reasons", "gold labels")
_LABELS = ("entailment", "neutral", "contradiction")
_VOCABULARY = 1_024
_MOST_PROMPT_TOKENS = 72
_MOST_REASON_TOKENS = 40


class Entailment:
    """The three arms; students are written below `folder`."""

    def __init__(self, calls: Path, folder: Path, *, is_quick: bool = False, epochs: int = 2) -> None:
        self.calls, self.folder, self.epochs = calls, folder, epochs
        self.n_train, self.n_test = (200, 100) if is_quick else (10_000, 3_000)

    @cached_property
    def records(self) -> dict[str, list[dict[str, Any]]]:
        """Train and test; of the test split a part that is drawn once."""
        every = [json.loads(line) for line in self.calls.read_text(encoding="utf-8").splitlines()]
        parts = {
            name: [
                one
                for one in every
                if one["split"] == name and one.get("teacher_label") in _LABELS and one["gold"] in _LABELS
            ]
            for name in ("train", "test")
        }
        dice = random.Random(0)
        return {
            "train": dice.sample(parts["train"], min(self.n_train, len(parts["train"]))),
            "test": dice.sample(parts["test"], min(self.n_test, len(parts["test"]))),
        }

    @cached_property
    def tokeniser(self) -> Tokenizer:
        """Learnt on the training texts, reasons included, the same for all arms."""
        texts = [f"{one['input']}\n{one.get('rationale') or ''}" for one in self.records["train"]]
        return train_tokeniser([*texts, *_LABELS * 100], vocab_size=_VOCABULARY)

    def run(self, arm: str, seed: int) -> dict[str, Any]:
        """Train and measure one student."""
        end, train = end_id(self.tokeniser), self.records["train"]
        source = "gold" if arm == "gold labels" else "teacher_label"
        rows = [self._row("answer", one["input"], one[source]) for one in train]
        n_steps = self.epochs * len(rows) // 64
        reasons = self._reasons(rows) if "reasons" in arm else []
        mixed = [*rows, *reasons]
        random.Random(seed).shuffle(mixed)
        shape = DecoderConfig(_VOCABULARY, 64, 2, 4, 4, 192, 128)
        # As many sequences as make the wished epochs in these steps, whatever a row's length.

        n_sequences = RowBatches(mixed, sequence_tokens=128, pad_id=end).n_sequences
        batch = max(round(n_sequences * self.epochs / max(n_steps, 1)), 1)
        recipe = Recipe(shape, max(n_steps, 1), batch, 3e-3)
        model, seconds = teach(
            recipe,
            mixed,
            end_id=end,
            seed=seed,
            folder=self.folder / "students" / arm.replace(" ", "-") / str(seed),
        )
        facts = {"arm": arm, "seed": seed, "cpu_seconds": seconds, "steps": recipe.n_steps, "batch": batch}
        return {**facts, **self._measure(model)}

    def _reasons(self, answers: list[TokenRow]) -> list[TokenRow]:
        given = [one for one in self.records["train"] if one.get("rationale")]
        bare = [self._row("reason", one["input"], one["rationale"]) for one in given]
        mean = sum(len(one.answer) for one in bare) / len(bare)
        weight = sum(len(one.answer) for one in answers) / len(answers) / mean
        return [TokenRow(one.prompt, one.answer, weight) for one in bare]

    def _row(self, task: str, text: str, answer: str) -> TokenRow:
        bare = row(self.tokeniser, end_id(self.tokeniser), f"{task}\n{text}\n", answer)
        kept = bare.answer[:_MOST_REASON_TOKENS]
        return TokenRow(bare.prompt[-_MOST_PROMPT_TOKENS:], kept)

    @torch.no_grad()
    def _measure(self, model: PreTrainedModel) -> dict[str, Any]:
        """Agreement with PaLM and with gold: the label whose first token is likeliest."""
        first = [self.tokeniser.encode(label).ids[0] for label in _LABELS]
        assert len(set(first)) == len(_LABELS)
        test = self.records["test"]
        hits: dict[str, list[int]] = {"teacher_label": [], "gold": []}
        for one in test:
            prompt = self._row("answer", one["input"], "").prompt
            logits = model(input_ids=torch.tensor([prompt])).logits[0, -1]
            said = _LABELS[int(logits[first].argmax())]
            for name, found in hits.items():
                found.append(int(said == one[name]))
        return {
            "agreement": sum(hits["teacher_label"]) / len(test),
            "accuracy": sum(hits["gold"]) / len(test),
            "items_agreement": hits["teacher_label"],
            "items_accuracy": hits["gold"],
        }
