"""The loop is seeded, resumes exactly after a kill, and keeps to its time."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from understudy.students.check import toy_task
from understudy.students.tuned import TunedStudent
from understudy.training.base_encoder import resolve_base
from understudy.training.fit_encoder import FittedEncoder, fit_encoder
from understudy.training.loop import LoopSettings

SETTINGS = LoopSettings(epochs=2, batch_size=16, encoder_rate=1e-3, head_rate=5e-3)


def fit(tiny_base: Path, settings: LoopSettings = SETTINGS, **more: object) -> FittedEncoder:
    inputs, targets = toy_task(frozenset({"classify", "point"}), count=48)
    return fit_encoder(resolve_base(str(tiny_base)), inputs, targets, settings, **more)  # type: ignore[arg-type]


def same_bits(left: FittedEncoder, right: FittedEncoder) -> bool:
    ours, theirs = left.network.state_dict(), right.network.state_dict()
    return all(torch.equal(ours[name], theirs[name]) for name in theirs)


class KilledError(Exception):
    """Stands for kill -9: nothing is tidied up."""


def test_same_seed_same_bits_and_another_seed_others(tiny_base: Path) -> None:
    first = fit(tiny_base)
    assert same_bits(fit(tiny_base), first)
    assert not same_bits(fit(tiny_base, LoopSettings(epochs=2, batch_size=16, seed=1)), first)


def test_a_killed_run_resumes_to_the_same_bits(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fit(tiny_base)
    checkpoint = tmp_path / "state" / "tuned.pt"
    monkeypatch.setattr("understudy.training.loop.CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr("understudy.training.loop.PROGRESS_SECONDS", 0.0)

    def kill(step: int, steps: int, loss: float) -> None:
        if step == 4:
            raise KilledError

    with pytest.raises(KilledError):
        fit(tiny_base, on_progress=kill, checkpoint=checkpoint)
    assert checkpoint.exists()
    seen: list[int] = []
    resumed = fit(tiny_base, on_progress=lambda step, steps, loss: seen.append(step), checkpoint=checkpoint)
    assert seen[0] == 4
    assert same_bits(resumed, whole)
    assert not checkpoint.exists()


def test_a_torn_or_foreign_checkpoint_is_ignored(tiny_base: Path, tmp_path: Path) -> None:
    checkpoint = tmp_path / "tuned.pt"
    checkpoint.write_bytes(b"torn")
    assert same_bits(fit(tiny_base, checkpoint=checkpoint), fit(tiny_base))


def test_time_ends_training_with_a_usable_network(tiny_base: Path) -> None:
    settings = LoopSettings(epochs=100_000, batch_size=16, max_seconds=0.5)
    made = fit(tiny_base, settings)
    assert 0 < made.record.steps < made.record.planned_steps
    assert made.predict([("the parcel",)])[0].scores is not None


def test_the_loss_falls(tiny_base: Path) -> None:
    inputs, targets = toy_task(frozenset({"classify"}), count=120)
    losses: list[float] = []
    student = TunedStudent(str(tiny_base), epochs=12, encoder_rate=2e-3, head_rate=1e-2)
    student.fit(inputs, targets)
    losses.append(student.record_.loss)
    known = [value for value in targets[0].values if isinstance(value, str)]
    rows = [at for at, value in enumerate(targets[0].values) if isinstance(value, str)]
    said = student.predict([inputs[at] for at in rows])
    assert sum(one == two for one, two in zip(said, known, strict=True)) > 0.9 * len(known)
