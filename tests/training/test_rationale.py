from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tiny_encoder import write_tiny_encoder
from understudy.students.tuned import TunedStudent
from understudy.training.base_encoder import resolve_base
from understudy.training.rationale import RationaleTask

REASONS = ["the shirt is red", "the dog is late", None, "  "] * 15


def test_rows_without_a_reason_cost_nothing(tiny_base: Path) -> None:
    task = RationaleTask.of(resolve_base(str(tiny_base)), REASONS, seed=0)
    assert task is not None
    vectors = torch.randn(2, 32, generator=torch.Generator().manual_seed(0))
    assert task.loss(np.array([2, 3]), vectors).item() == 0.0
    assert 0.0 < task.loss(np.array([0, 2]), vectors).item() <= 2.0


def test_too_few_reasons_or_a_foreign_family_are_left_out(tiny_base: Path, tmp_path: Path) -> None:
    base = resolve_base(str(tiny_base))
    assert RationaleTask.of(base, None, seed=0) is None
    assert RationaleTask.of(base, REASONS[:8], seed=0) is None
    foreign = resolve_base(str(write_tiny_encoder(tmp_path, family="mpnet")))
    assert RationaleTask.of(foreign, REASONS, seed=0) is None


def test_reasons_shape_training_and_are_not_shipped(tiny_base: Path) -> None:
    texts, labels = ["red shirt", "blue dog", "my invoice", "the office"] * 15, ["a", "b", "a", "b"] * 15
    plain = TunedStudent(str(tiny_base), epochs=1).fit(texts, labels)
    taught = TunedStudent(str(tiny_base), epochs=1).fit(texts, labels, rationales=REASONS)
    ours, theirs = plain.fitted_.network.state_dict(), taught.fitted_.network.state_dict()
    assert ours.keys() == theirs.keys()
    assert any(not torch.equal(ours[name], theirs[name]) for name in ours)
    assert taught.predict_proba(texts) == pytest.approx(plain.predict_proba(texts), abs=0.9)
