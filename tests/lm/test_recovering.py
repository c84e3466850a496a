"""Towards a teacher's logits: the objective against its formula, and that it brings a pruned model back."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from loud_decoder import dense, logits, text
from torch.nn import functional

from understudy.errors import ConfigError
from understudy.lm.importance import measure_importance
from understudy.lm.packing import NOTHING
from understudy.lm.prune import PruneAim, prune
from understudy.lm.recover import towards_logits
from understudy.lm.rows import RowBatches, TokenRow
from understudy.lm.schedule import Schedule
from understudy.lm.settings import TrainSettings
from understudy.lm.train import next_token_loss, train


def test_objective_is_its_formula() -> None:
    teacher, given = dense(), text()
    model = prune(teacher, measure_importance(teacher, [given]), PruneAim(n_layers=2, d_ff=24))
    is_asked = given.labels_BS != NOTHING
    p, q = (logits(one, given)[is_asked].double() / 2 for one in (teacher, model))
    divergence = functional.kl_div(q.log_softmax(-1), p.log_softmax(-1), log_target=True, reduction="sum")
    with torch.no_grad():
        expected = 0.7 * 4 * float(divergence) + 0.3 * float(next_token_loss(model, given))
    found = towards_logits(teacher, temperature=2.0, label_share=0.3)(model, given)
    assert float(found.detach()) == pytest.approx(expected, rel=1e-5)
    found.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_a_teacher_is_nothing_away_from_itself() -> None:
    teacher, given = dense(), text()
    with torch.no_grad():
        distance = float(towards_logits(teacher)(teacher, given))
    assert distance == pytest.approx(0, abs=1e-4)


def test_training_towards_the_teacher_brings_a_pruned_model_nearer(tmp_path: Path) -> None:
    teacher = dense()
    dice = torch.Generator().manual_seed(3)
    rows = [
        TokenRow(tuple(some[:4]), tuple(some[4:]))
        for some in torch.randint(1, 80, (24, 16), generator=dice).tolist()
    ]
    data = RowBatches(rows, sequence_tokens=32, pad_id=0)
    given = data.take(range(data.n_sequences))
    model = prune(teacher, measure_importance(teacher, [given]), PruneAim(d_ff=24))
    objective = towards_logits(teacher)
    with torch.no_grad():
        before = float(objective(model, given))
    settings = TrainSettings(
        Schedule(30, warm_up_steps=3),
        learning_rate=1e-3,
        batch_sequences=4,
        sequence_tokens=32,
        precision="float32",
    )
    train(model, data, settings, tmp_path, objective=objective)
    with torch.no_grad():
        assert float(objective(model, given)) < 0.7 * before


@pytest.mark.parametrize("options", [{"temperature": 0.0}, {"label_share": 1.5}])
def test_options_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="temperature"):
        towards_logits(dense(), **options)
