"""A writer learns what it is shown, from scratch and from bases; a killed training ends as an unbroken one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import understudy.lm.finetune as finetune
from lm.tiny_base import make_base
from understudy.errors import ArtefactError, ConfigError, DataError
from understudy.lm.finetune import FinetuneSettings, fit_writer
from understudy.lm.fitted_writer import FittedWriter
from understudy.lm.record import StepRecord
from understudy.students.targets import Targets
from understudy.task.field import Field
from understudy.task.problem import Problem

PROBLEM = Problem(Field("answer", "text"), "write")
INPUTS = [("red shirt",), ("blue dog",), ("red dog",), ("blue shirt",)]
ANSWERS = ["shirts/red", "dogs/blue", "dogs/red", "shirts/blue"]


def fit(settings: FinetuneSettings, **words: Any) -> FittedWriter:
    return fit_writer(INPUTS, [Targets(PROBLEM, ANSWERS)], settings, **words)


def written(fitted: FittedWriter, text: str) -> str:
    """The float model's greedy answer, by transformers."""
    ids = torch.tensor([fitted.format.prompt(fitted.tokeniser, (text,), fitted.max_prompt_tokens).ids])
    found = fitted.model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=fitted.max_new_tokens,
        do_sample=False,
        eos_token_id=list(fitted.end_ids),
        pad_token_id=fitted.end_ids[0],
    )[0].tolist()
    answer = found[1:] if fitted.model.config.is_encoder_decoder else found[ids.shape[1] :]
    return str(fitted.tokeniser.decode(answer))


@pytest.mark.parametrize(
    ("kind", "tuning", "rate"),
    [("llama", "full", 1e-2), ("t5", "full", 1e-2)],
)
def test_bases_learn_a_small_task(tmp_path: Path, kind: str, tuning: Any, rate: float) -> None:
    base = make_base(tmp_path, kind)
    fitted = fit(FinetuneSettings(str(base), tuning, steps=60, learning_rate=rate))
    assert [written(fitted, text) for (text,) in INPUTS] == ANSWERS
    assert fitted.base is not None
    assert fitted.base["tuning"] == tuning


def test_adapters_learn_on_another_type_of_base(tmp_path: Path) -> None:
    base = make_base(tmp_path, "qwen3")
    fitted = fit(FinetuneSettings(str(base), "lora", steps=30, learning_rate=3e-2))
    assert fitted.record["last_loss"] < 0.95 * fitted.record["first_loss"]


def test_adapters_are_folded_into_the_weights(tmp_path: Path) -> None:
    base = make_base(tmp_path)
    fitted = fit(FinetuneSettings(str(base), "lora", steps=3, learning_rate=1e-2, lora_rank=2))
    before = make_base(tmp_path / "again")
    plain = fit(FinetuneSettings(str(before), "full", steps=1, learning_rate=1e-9))
    ours, theirs = fitted.model.state_dict(), plain.model.state_dict()
    assert set(ours) == set(theirs)
    name = "model.layers.0.self_attn.q_proj.weight"
    change = (ours[name] - theirs[name]).double()
    assert int(torch.linalg.matrix_rank(change, atol=1e-6)) == 2
    torch.testing.assert_close(ours["model.embed_tokens.weight"], theirs["model.embed_tokens.weight"])


def test_the_same_seed_gives_the_same_writer_and_leaves_the_callers_dice_alone() -> None:
    settings = FinetuneSettings(steps=3, seed=5)
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    one, two = fit(settings), fit(settings)
    assert torch.equal(torch.rand(1), expected)
    other = fit(FinetuneSettings(steps=3, seed=6))
    name = "model.layers.0.mlp.up_proj.weight"
    assert torch.equal(one.model.state_dict()[name], two.model.state_dict()[name])
    assert not torch.equal(one.model.state_dict()[name], other.model.state_dict()[name])


def test_a_killed_training_ends_as_an_unbroken_one(tmp_path: Path) -> None:
    settings = FinetuneSettings(steps=12)
    whole = fit(settings)

    def die(step: int, _steps: int, _loss: float) -> None:
        if step == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(settings, on_progress=die, checkpoint=tmp_path / "run")
    assert list((tmp_path / "run" / "checkpoints").iterdir())
    seen: list[int] = []
    again = fit(settings, on_progress=lambda step, _n, _loss: seen.append(step), checkpoint=tmp_path / "run")
    assert min(seen) > 1
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, again.model.state_dict()[name]), name
    assert not (tmp_path / "run").exists()


def test_the_best_step_on_held_out_rows_ships(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    inputs = [(" ".join(rng.choice(["red", "blue", "dog", "cat"], 4)) + str(at),) for at in range(120)]
    answers = [text.split()[0] + "!" for (text,) in inputs]
    losses = iter([3.0, 1.0, 2.0, 2.5, 2.5, 2.5])
    kept: list[dict[str, torch.Tensor]] = []
    best = finetune.BestWeights

    class Scripted(best):  # type: ignore[misc, valid-type]
        """Sees other losses than were measured, and notes the weights of every measurement."""

        def __call__(self, record: StepRecord, pace: Any) -> None:
            if record.valid_loss is not None:
                object.__setattr__(record, "valid_loss", next(losses))
                kept.append({key: value.clone() for key, value in self._model.state_dict().items()})
            super().__call__(record, pace)

    monkeypatch.setattr(finetune, "BestWeights", Scripted)
    fitted = fit_writer(inputs, [Targets(PROBLEM, answers)], FinetuneSettings(steps=12))
    assert fitted.record["n_held"] == 6
    assert fitted.record["held_loss"] == 1.0
    assert fitted.record["best_step"] == 4
    name = "model.layers.0.mlp.up_proj.weight"
    assert torch.equal(fitted.model.state_dict()[name], kept[1][name])
    assert not torch.equal(kept[1][name], kept[-1][name])


def test_what_was_trained_is_read_back(tmp_path: Path) -> None:
    fitted = fit(FinetuneSettings(steps=2))
    fitted.save(tmp_path)
    again = FittedWriter.load(tmp_path)
    assert written(again, "red dog") == written(fitted, "red dog")
    for name in ("end_ids", "format", "problems", "max_prompt_tokens", "max_new_tokens", "base", "record"):
        assert getattr(again, name) == getattr(fitted, name), name
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ArtefactError, match="cannot be read"):
        FittedWriter.load(tmp_path)


def test_settings_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs a base"):
        FinetuneSettings(tuning="lora")
    with pytest.raises(ConfigError, match="full, lora or qlora"):
        FinetuneSettings(tuning="half")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="lora_rank"):
        FinetuneSettings(str(tmp_path), "lora", lora_rank=0)
    with pytest.raises(DataError, match="short enough"):
        fit(FinetuneSettings(max_new_tokens=1))
