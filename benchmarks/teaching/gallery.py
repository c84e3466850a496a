"""The gallery run: a teacher from scratch, its log, and students with and without what it knows.

Every student of a seed has the same first weights and the same number of steps. *Few* are the inputs for which someone
wrote the right answer; *many* are all inputs in the log, of which the few are a part.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch.nn import functional
from transformers import PreTrainedModel

from teaching.recorded import record
from teaching.student import answers_of, item_losses, row, teach
from teaching.tasks import Task
from understudy.lm.decoder import load_decoder
from understudy.lm.distil import Distillation, Told, state_objective, told_objective
from understudy.lm.distil_on_policy import on_policy_objective
from understudy.lm.packing import NOTHING, Pack
from understudy.lm.placed_rows import row_key
from understudy.lm.rows import TokenRow
from understudy.lm.teacher_states import TeacherStates, asked_hidden, output_matrix
from understudy.lm.tokeniser import end_id, save_tokeniser
from understudy.lm.told_calls import ToldAnswer, byte_forms, read_told, told_of
from understudy.lm.train import Objective, next_token_loss

__all__ = ["ARMS", "Gallery"]

AFTER = "\n"


@dataclass(frozen=True, slots=True)
class Arm:
    """What a student is given: ``few`` or ``many`` inputs, whose texts (``gold`` or ``teacher``), the loss, which share of
    the steps, and how much of each label is spread over all tokens (Szegedy et al. 2016): soft labels without a teacher.
    """

    inputs: str
    text: str
    how: Distillation | None = None
    step_share: float = 1.0
    smoothing: float = 0.0


def _taught(loss: str, **more: Any) -> Distillation:
    return Distillation(loss, **more)


ARMS: dict[str, Arm] = {
    "few gold": Arm("few", "gold"),
    "few gold, a third of the steps": Arm("few", "gold", step_share=1 / 3),
    "few gold, forward KL": Arm("few", "gold", _taught("forward_kl", weight=0.9)),
    "many teacher": Arm("many", "teacher"),
    "many teacher, forward KL": Arm("many", "teacher", _taught("forward_kl", weight=0.9)),
    "many teacher, top-5 KL": Arm("many", "teacher", _taught("top_k", weight=0.9)),
    "many gold": Arm("many", "gold"),
    "few teacher": Arm("few", "teacher"),
    "few gold, skewed KL": Arm("few", "gold", _taught("skewed_kl", weight=0.9)),
    "few gold, Jensen-Shannon": Arm("few", "gold", _taught("jensen_shannon", weight=0.9)),
    "few gold, reverse KL": Arm("few", "gold", _taught("reverse_kl", weight=0.9)),
    "few gold, smoothed labels": Arm("few", "gold", smoothing=0.1),
    "few gold, three times the steps": Arm("few", "gold", step_share=3.0),
    "few gold, on-policy": Arm("few", "gold", _taught("on_policy", weight=0.9, divergence="forward_kl")),
}
"""In the order in which they are run."""


class Gallery:
    """The teacher, its log, and the students, in `folder`; what is there already is not made again."""

    def __init__(self, task: Task, folder: Path) -> None:
        self.task, self.folder = task, folder
        self.end = end_id(task.tokeniser)
        self.gold = dict(task.many)

    def prepare(self) -> dict[str, Any]:
        """Train the teacher and record its answers; gives what it can do."""
        facts = self.folder / "teacher.json"
        if not facts.is_file():
            recipe = self.task.teacher
            rows = [self._row(*pair) for pair in self.task.for_teacher]
            model, seconds = teach(recipe, rows, end_id=self.end, seed=0, folder=self.folder / "teacher")
            model.save_pretrained(self.folder / "teacher-model")
            save_tokeniser(self.task.tokeniser, self.folder / "teacher-model")
            record(
                model,
                self.task.tokeniser,
                list(self.gold),
                self.folder / "calls.jsonl",
                after=AFTER,
                end_id=self.end,
                most_new_tokens=self.task.most_new_tokens,
                seed=0 if self.task.is_sampled else None,
            )
            measured = {"arm": "teacher", "seed": 0, "cpu_seconds": seconds, **self._measure(model)}
            measured["parameters"] = recipe.shape.n_parameters()
            measured["student_parameters"] = self.task.student.shape.n_parameters()
            facts.write_text(json.dumps(measured))
        found: dict[str, Any] = json.loads(facts.read_text())
        return found

    @cached_property
    def said(self) -> dict[str, ToldAnswer]:
        """The log, by input."""
        return {answer.input: answer for answer in read_told(self.folder / "calls.jsonl")}

    @cached_property
    def teacher(self) -> PreTrainedModel:
        """The teacher."""
        return load_decoder(self.folder / "teacher-model").requires_grad_(False)

    @cached_property
    def states(self) -> TeacherStates:
        """What it would say, kept over arms and seeds."""
        return TeacherStates(self.teacher)

    def run(self, name: str, seed: int) -> dict[str, Any]:
        """Train and measure one student."""
        arm, recipe = ARMS[name], self.task.student
        recipe = replace(recipe, n_steps=max(round(recipe.n_steps * arm.step_share), 1))
        inputs = list(self.gold)
        if arm.inputs == "few":
            inputs = random.Random(seed).sample(inputs, self.task.n_few)
        texts = [self.said[one].text if arm.text == "teacher" else self.gold[one] for one in inputs]
        rows = [self._row(one, text) for one, text in zip(inputs, texts, strict=True)]
        folder = self.folder / "students" / name.replace(" ", "-").replace(",", "") / str(seed)
        objective = self._objective(arm, inputs, rows, seed)
        model, seconds = teach(recipe, rows, end_id=self.end, seed=seed, folder=folder, objective=objective)
        model.save_pretrained(folder / "model")
        save_tokeniser(self.task.tokeniser, folder / "model")
        return {"arm": name, "seed": seed, "cpu_seconds": seconds, **self._measure(model)}

    def _objective(self, arm: Arm, inputs: list[str], rows: list[TokenRow], seed: int) -> Objective:
        how = arm.how
        if how is None:
            return _smoothed(arm.smoothing) if arm.smoothing else next_token_loss
        if how.loss == "on_policy":
            limit = self.task.most_new_tokens
            return on_policy_objective(
                replace(how, seed=seed), self.teacher, end_id=self.end, most_new_tokens=limit
            )
        if how.loss == "top_k":
            return told_objective(how, dict(self._told(inputs, rows)))
        return state_objective(how, self.states)

    def _told(
        self, inputs: list[str], rows: list[TokenRow]
    ) -> Iterator[tuple[tuple[int, tuple[int, ...]], Told]]:
        forms = byte_forms(self.task.tokeniser)
        for one, its_row in zip(inputs, rows, strict=True):
            told = told_of(self.said[one], forms, its_row.answer, self.end)
            if told is not None:
                yield row_key(its_row.prompt, its_row.answer), told

    def _measure(self, model: PreTrainedModel) -> dict[str, Any]:
        """Scores of greedy answers, one per test item, and loss per token of the right answers."""
        said = answers_of(
            model,
            self.task.tokeniser,
            [given + AFTER for given, _ in self.task.test],
            end_id=self.end,
            most_new_tokens=self.task.most_new_tokens,
        )
        scores = [self.task.score(ours, right) for ours, (_, right) in zip(said, self.task.test, strict=True)]
        sums, counts = item_losses(model, [self._row(*pair) for pair in self.task.test])
        return {
            "score": fmean(scores),
            "loss": sum(sums) / sum(counts),
            "items_score": [round(one, 4) for one in scores],
            "items_loss": [round(one / count, 4) for one, count in zip(sums, counts, strict=True)],
        }

    def _row(self, given: str, answer: str) -> TokenRow:
        return row(self.task.tokeniser, self.end, given + AFTER, answer)


def _smoothed(share: float) -> Objective:
    """Cross-entropy with smoothed labels, summed over them."""

    def objective(model: PreTrainedModel, pack: Pack) -> torch.Tensor:
        logits = asked_hidden(model, pack) @ output_matrix(model).T
        labels = pack.labels_BS[pack.labels_BS != NOTHING]
        return functional.cross_entropy(logits, labels, reduction="sum", label_smoothing=share)

    return objective
