"""Answer and reason as two tasks, each with a mean of its own."""

from __future__ import annotations

import pytest
import torch
from loss_reference import draw

from understudy.errors import ConfigError, DataError
from understudy.lm.losses.rationale import answer_and_reason_loss
from understudy.lm.losses.sequence import sequence_loss

LOGITS = draw(0, 3, 4, 7)
TARGETS = torch.tensor([[1, 2, 0, 0], [3, 4, 5, 6], [6, 5, 4, 3]])
MASK = torch.tensor([[True, False, False, False], [True] * 4, [True, True, True, False]])
IS_REASON = torch.tensor([False, True, True])


def test_each_task_has_its_own_mean() -> None:
    got = answer_and_reason_loss(LOGITS, TARGETS, MASK, IS_REASON, reason_weight=0.3)
    logs = -LOGITS.log_softmax(-1).gather(-1, TARGETS[..., None])[..., 0].numpy()
    answer, reason = logs[0, 0], (logs[1].sum() + logs[2, :3].sum()) / 7
    assert got.total.item() == pytest.approx(answer + 0.3 * reason, rel=1e-10)
    assert got.answer.item() == pytest.approx(answer, rel=1e-10)
    assert got.reason.item() == pytest.approx(reason, rel=1e-10)
    assert (got.answer_tokens, got.reason_tokens) == (1, 7)


def test_longer_reasons_do_not_drown_the_answer() -> None:
    short = answer_and_reason_loss(LOGITS[:2], TARGETS[:2], MASK[:2], IS_REASON[:2])
    longer = [torch.cat([one[:2], one[1:2].repeat_interleave(9, 0)]) for one in (LOGITS, TARGETS, MASK)]
    got = answer_and_reason_loss(*longer, torch.tensor([False] + [True] * 10))
    assert got.total.item() == pytest.approx(short.total.item(), rel=1e-10)
    assert sequence_loss(*longer[:2], mask=longer[2]).item() != pytest.approx(
        sequence_loss(LOGITS[:2], TARGETS[:2], mask=MASK[:2]).item(), rel=1e-3
    )


@pytest.mark.parametrize("task", [False, True])
def test_a_task_may_be_missing(task: bool) -> None:
    logits = LOGITS.clone().requires_grad_()
    got = answer_and_reason_loss(logits, TARGETS, MASK, torch.full((3,), task))
    got.total.backward()
    assert got.total.item() == pytest.approx(sequence_loss(LOGITS, TARGETS, mask=MASK).item(), rel=1e-10)
    assert (got.reason if not task else got.answer).item() == 0
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_slopes_and_normalisers() -> None:
    logits = LOGITS.clone().requires_grad_()
    options = {"answer_normaliser": 4.0, "reason_normaliser": 20.0, "reason_weight": 2.0}
    assert torch.autograd.gradcheck(
        lambda one: answer_and_reason_loss(one, TARGETS, MASK, IS_REASON, **options).total, (logits,)
    )
    plain = answer_and_reason_loss(LOGITS, TARGETS, MASK, IS_REASON)
    got = answer_and_reason_loss(LOGITS, TARGETS, MASK, IS_REASON, **options)
    wanted = plain.answer.item() / 4 + 2 * plain.reason.item() * 7 / 20
    assert got.total.item() == pytest.approx(wanted, rel=1e-10)


def test_bad_input_is_refused() -> None:
    with pytest.raises(ConfigError, match="reason_weight"):
        answer_and_reason_loss(LOGITS, TARGETS, MASK, IS_REASON, reason_weight=-1.0)
    with pytest.raises(DataError, match="one entry for each text"):
        answer_and_reason_loss(LOGITS, TARGETS, MASK, IS_REASON[:2])
