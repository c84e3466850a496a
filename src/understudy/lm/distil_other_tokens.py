"""Objectives for a teacher with another tokeniser: chunks of text that are whole tokens on both sides.

The answer's text is tokenised by both; :mod:`understudy.lm.losses.span_alignment` finds what their tokens share. The end
of an answer is a chunk of its own, of both end tokens. A prompt is tokenised by each side for itself and not compared.

Rows must be text that the student's tokeniser gives back exactly: a row whose answer does not come back to its own tokens
has cross-entropy alone.

Shapes: b rows, t answer tokens of the student, u of the teacher, c chunks, h the teacher's width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer
from torch.nn import functional
from transformers import PreTrainedModel

from understudy.errors import ConfigError, DataError
from understudy.lm.distil import OTHER_TOKENS, Distillation, asked_cross_entropy
from understudy.lm.losses.cross_tokenizer import chunk_likelihood_loss
from understudy.lm.losses.positions import log_probabilities
from understudy.lm.losses.rank_sorted import rank_sorted_distance
from understudy.lm.losses.shared_vocabulary import shared_vocabulary_kl
from understudy.lm.losses.span_alignment import Alignment, Span, align_spans
from understudy.lm.packing import Pack
from understudy.lm.placed_rows import PlacedRow, row_key, rows_of
from understudy.lm.teacher_states import asked_hidden, output_matrix
from understudy.lm.train import Objective

__all__ = ["OtherTeacher", "TaughtRow", "has_same_tokens", "other_tokens_objective"]


def has_same_tokens(one: Tokenizer, other: Tokenizer) -> bool:
    """Whether two tokenisers have the same tokens under the same numbers."""
    same: bool = one.get_vocab(with_added_tokens=True) == other.get_vocab(with_added_tokens=True)
    return same


@dataclass(frozen=True, slots=True)
class TaughtRow:
    """What the teacher says of one row's answer.

    Attributes
    ----------
    alignment
        Chunks in indices of answer tokens, the end tokens among them.
    answer
        The teacher's tokens, (u,).
    hidden
        Its last hidden states where it says them, (u, h).
    """

    alignment: Alignment
    answer: torch.Tensor
    hidden: torch.Tensor


class OtherTeacher:
    """A frozen teacher with its own tokeniser, asked about rows of the student's tokens.

    Parameters
    ----------
    model, tokeniser, end
        The teacher, and the token that ends its texts.
    student_tokeniser, student_end
        The same of the student.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokeniser: Tokenizer,
        end: int,
        student_tokeniser: Tokenizer,
        student_end: int,
    ) -> None:
        self.model = model.eval()
        self.head = output_matrix(model).detach()
        self.tokeniser, self.end = tokeniser, end
        self.student_tokeniser, self.student_end = student_tokeniser, student_end
        self._kept: dict[tuple[int, tuple[int, ...]], TaughtRow | None] = {}

    def at(self, row: PlacedRow) -> TaughtRow | None:
        """What it says of a row; ``None`` where the row's text cannot be aligned."""
        key = row_key(row.prompt, row.answered)
        if key not in self._kept:
            self._kept[key] = self._ask(row)
        return self._kept[key]

    def shared_tokens(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Numbers of the tokens that both have, the student's and the teacher's: same name, and both end tokens.

        Raises
        ------
        DataError
            If only the end is shared.
        """
        ours, theirs = self.student_tokeniser.get_vocab(), self.tokeniser.get_vocab()
        names = [
            name
            for name in sorted(set(ours) & set(theirs))
            if ours[name] != self.student_end and theirs[name] != self.end
        ]
        if not names:
            raise DataError(
                "teacher and student share no token",
                todo="use chunk_likelihood, which needs none to be shared",
            )
        return (
            torch.tensor([self.student_end, *(ours[name] for name in names)]),
            torch.tensor([self.end, *(theirs[name] for name in names)]),
        )

    @torch.no_grad()
    def _ask(self, row: PlacedRow) -> TaughtRow | None:
        is_over = row.answered[-1] == self.student_end
        written = row.answered[:-1] if is_over else row.answered
        prompt, text = (
            self.student_tokeniser.decode(list(ids), skip_special_tokens=False)
            for ids in (row.prompt, written)
        )
        ours = self.student_tokeniser.encode(text, add_special_tokens=False)
        theirs = self.tokeniser.encode(text, add_special_tokens=False)
        given = self.tokeniser.encode(prompt, add_special_tokens=False).ids
        if tuple(ours.ids) != tuple(written) or not given or not (theirs.ids or is_over):
            return None
        spans: list[list[Span]] = [list(ours.offsets), list(theirs.offsets)]
        length = len(text)
        answer = list(theirs.ids)
        if is_over:
            # One more character, which both end tokens stand for.
            spans = [[*one, (length, length + 1)] for one in spans]
            length += 1
            answer.append(self.end)
        tokens = torch.tensor([[*given, *answer]], device=self.head.device)
        hidden = self.model.base_model(input_ids=tokens, use_cache=False).last_hidden_state[0]
        states = hidden[len(given) - 1 : -1].to(self.head.dtype).clone()
        return TaughtRow(align_spans(length, *spans), tokens[0, len(given) :].clone(), states)


def other_tokens_objective(how: Distillation, teacher: OtherTeacher) -> Objective:
    """``(1 - weight) CE + weight L`` with L one of :data:`~understudy.lm.distil.OTHER_TOKENS`, summed over chunks.

    Raises
    ------
    ConfigError
        If the loss is another.
    DataError
        If ``shared_vocabulary`` finds nothing shared.
    """
    if how.loss not in OTHER_TOKENS:
        raise ConfigError(f"loss must be one of {', '.join(OTHER_TOKENS)}", given=f"loss = {how.loss}")
    shared = teacher.shared_tokens() if how.loss == "shared_vocabulary" else None
    scale = 1 / (how.weight * (1 if how.loss == "rank_sorted" else how.temperature**2))

    def objective(model: PreTrainedModel, pack: Pack) -> torch.Tensor:
        if pack.weights_BS is not None:
            raise ConfigError(
                "rows with weights of their own cannot be distilled with this loss",
                todo="use --loss sequence",
            )
        head = output_matrix(model)
        hidden = asked_hidden(model, pack).to(head.dtype)
        rows = rows_of(pack)
        ours = torch.split(hidden @ head.T, [len(row.answered) for row in rows])
        theirs = [teacher.at(row) for row in rows]
        kept = [
            (row, one, other) for row, one, other in zip(rows, ours, theirs, strict=True) if other is not None
        ]
        loss = (
            hidden.new_zeros(())
            if how.weight == 1
            else (1 - how.weight) * asked_cross_entropy(hidden, head, pack)
        )
        if not kept:
            return loss + 0 * hidden.sum()
        if how.loss == "chunk_likelihood":
            return loss + _chunks(how, teacher, kept, scale)
        student_nv, teacher_nv = _first_positions(teacher, kept)
        if shared is None:
            return loss + rank_sorted_distance(
                student_nv, teacher_nv, temperature=how.temperature, normaliser=scale
            )
        return loss + shared_vocabulary_kl(
            student_nv, teacher_nv, *shared, temperature=how.temperature, normaliser=scale
        )

    return objective


_Kept = Sequence[tuple[PlacedRow, torch.Tensor, TaughtRow]]


def _chunks(how: Distillation, teacher: OtherTeacher, kept: _Kept, scale: float) -> torch.Tensor:
    """The likelihood of chunks, from the log-probabilities of each side's own tokens."""
    ours, theirs = [], []
    for row, logits_tv, told in kept:
        answered = torch.tensor(row.answered, device=logits_tv.device)
        ours.append(log_probabilities(logits_tv).gather(-1, answered[:, None])[:, 0])
        with torch.no_grad():
            log_p_uv = log_probabilities(told.hidden @ teacher.head.T)
            theirs.append(log_p_uv.gather(-1, told.answer[:, None])[:, 0].to(logits_tv.device))
    logs, masks = [], []
    for side in (ours, theirs):
        width = max(map(len, side))
        logs.append(torch.stack([functional.pad(one, (0, width - len(one))) for one in side]))
        counts = torch.tensor([len(one) for one in side], device=logs[-1].device)
        masks.append(torch.arange(width, device=logs[-1].device) < counts[:, None])
    return chunk_likelihood_loss(
        logs[0],
        logs[1],
        [told.alignment for _, _, told in kept],
        student_mask=masks[0],
        teacher_mask=masks[1],
        temperature=how.temperature,
        normaliser=scale,
    )


def _first_positions(teacher: OtherTeacher, kept: _Kept) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits of both sides where chunks begin: there they stand at the same place of the text."""
    ours, theirs = [], []
    for _, logits_tv, told in kept:
        chunks = told.alignment.chunks
        ours.append(logits_tv[[chunk.student[0] for chunk in chunks]])
        with torch.no_grad():
            hidden = told.hidden[[chunk.teacher[0] for chunk in chunks]]
            theirs.append((hidden @ teacher.head.T).to(logits_tv.device))
    return torch.cat(ours), torch.cat(theirs)
