"""Makes a trained writer smaller: pruned, then trained towards the logits of the whole one on the same rows."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from understudy.calls.call import InputParts
from understudy.errors import DataError
from understudy.lm.answers import TokenBudget, text_rows, token_rows
from understudy.lm.fitted_writer import FittedWriter
from understudy.lm.importance import layers_of, measure_importance
from understudy.lm.prune import PruneAim, default_aim, prune
from understudy.lm.recover import towards_logits
from understudy.lm.rows import RowBatches
from understudy.lm.train import train
from understudy.lm.writer_recipe import WriterPlan, base_plan, scratch_plan
from understudy.training.target_arrays import FieldTargets

__all__ = ["ShrinkSettings", "shrink_writer"]

_CALIBRATION_SEQUENCES = 64
# Of the steps that the whole one was trained for, and of its peak rate: it only has to be brought back.
_SHARE_OF_STEPS, _LEAST_STEPS, _SHARE_OF_RATE = 4, 60, 3


@dataclass(frozen=True, slots=True)
class ShrinkSettings:
    """How a writer is made smaller.

    Attributes
    ----------
    aim
        What is left; ``None``: :func:`~understudy.lm.prune.default_aim`.
    steps, learning_rate
        Of the training afterwards; ``None``: a quarter of the steps and a third of the peak rate of the rule by which
        such a writer is trained (:mod:`understudy.lm.writer_recipe`), 60 steps at least.
    seed
        Of the order of rows.
    start
        Names the writer, so that no other one's training is resumed.
    """

    aim: PruneAim | None = None
    steps: int | None = None
    learning_rate: float | None = None
    seed: int = 0
    start: str | None = None


def shrink_writer(
    writer: FittedWriter,
    inputs: Sequence[InputParts],
    targets: Sequence[FieldTargets],
    settings: ShrinkSettings,
    *,
    sample_weight: npt.NDArray[np.float64] | None = None,
    on_progress: Callable[[int, int, float], None] | None = None,
    checkpoint: Path | None = None,
) -> FittedWriter:
    """Prune a writer and train it on; `writer` stays as it was.

    Parameters
    ----------
    writer
        The whole one, a dense decoder.
    inputs, targets, sample_weight
        The rows that it was trained on. Weights above 0 all count alike: what is learnt is the whole one's
        distribution, not the rows' texts.
    settings
        See :class:`ShrinkSettings`.
    on_progress
        Called with step, steps and loss.
    checkpoint
        Folder that a killed training resumes from; removed at the end. ``None``: a temporary one.

    Raises
    ------
    ConfigError
        If the model is of a kind that cannot be pruned, or `checkpoint` is of another run.
    DataError
        If no row is left.
    UnderstudyError
        If training diverges.
    """
    layers_of(writer.model)  # refuses what cannot be pruned before anything is read
    budget = TokenBudget(writer.max_prompt_tokens, writer.max_new_tokens, 0, 0, 0)
    texts = text_rows(inputs, targets, writer.format, sample_weight=sample_weight)
    rows = token_rows(texts, writer.tokeniser, writer.format, budget, writer.end_ids[0])
    if not rows:
        raise DataError("no answer is short enough to learn", given=f"{writer.max_new_tokens} tokens")
    plan = _plan(writer, [len(row) for row in rows], settings)
    longest = max(plan.settings.sequence_tokens, *map(len, rows))
    data = RowBatches(
        [replace(row, weight=1.0) for row in rows],
        sequence_tokens=longest,
        pad_id=writer.end_ids[0],
        seed=settings.seed,
    )
    n = min(_CALIBRATION_SEQUENCES, data.n_sequences)
    importance = measure_importance(writer.model, data.take(range(n)).split(plan.settings.batch_sequences))
    aim = settings.aim or default_aim(writer.model)
    small = prune(writer.model, importance, aim)
    n_steps = plan.settings.schedule.n_steps
    with _folder(checkpoint) as folder, torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        run = train(
            small,
            data,
            plan.settings,
            folder,
            objective=towards_logits(writer.model),
            start=f"{settings.start} {aim}",
            on_step=None
            if on_progress is None
            else lambda record, _: on_progress(record.step, n_steps, record.loss),
        )
    record = {
        "steps": n_steps,
        "epochs": plan.epochs,
        "n_rows": len(rows),
        "first_loss": run.records[0].loss,
        "last_loss": run.records[-1].loss,
        "seconds": run.seconds,
        "parameters_before": writer.model.num_parameters(),
        "parameters": small.num_parameters(),
    }
    return replace(writer, model=small.to("cpu").eval(), record=record)


def _plan(writer: FittedWriter, lengths: list[int], settings: ShrinkSettings) -> WriterPlan:
    def rule(steps: int | None, rate: float | None) -> WriterPlan:
        if writer.base is not None:
            return base_plan(lengths, is_full=True, learning_rate=rate, steps=steps, seed=settings.seed)
        n = writer.model.num_parameters()
        return scratch_plan(lengths, n_parameters=n, learning_rate=rate, steps=steps, seed=settings.seed)

    whole = rule(None, None).settings
    return rule(
        settings.steps or max(_LEAST_STEPS, whole.schedule.n_steps // _SHARE_OF_STEPS),
        settings.learning_rate or whole.learning_rate / _SHARE_OF_RATE,
    )


@contextmanager
def _folder(checkpoint: Path | None) -> Iterator[Path]:
    if checkpoint is None:
        with tempfile.TemporaryDirectory() as scratch:
            yield Path(scratch)
        return
    yield checkpoint
    shutil.rmtree(checkpoint, ignore_errors=True)
