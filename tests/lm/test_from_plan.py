"""A plan of ``plan train`` becomes the run that it speaks of."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from understudy.cli.main import cli
from understudy.errors import ConfigError
from understudy.lm.from_plan import read_plan


def _plan(folder: Path, *options: str) -> tuple[Path, dict]:
    words = ["plan", "train", "--params", "3e6", "--vocabulary", "2048", "--json", *options]
    done = CliRunner().invoke(cli, words, catch_exceptions=False)
    path = folder / "plan.json"
    path.write_text(done.stdout, encoding="utf-8")
    return path, json.loads(done.stdout)


def test_a_dense_plan_is_trained_as_it_stands(tmp_path: Path) -> None:
    path, plan = _plan(tmp_path)
    run = read_plan(path, context_tokens=256, is_dense=False)
    assert run.shape.n_parameters() == plan["shape_parameters"]
    assert run.n_tokens == plan["variants"][0]["tokens"]
    assert run.n_steps(1024) == round(run.n_tokens / 1024)
    assert 0 < run.learning_rate <= 0.02


def test_a_mixture_keeps_its_active_parameters(tmp_path: Path) -> None:
    path, plan = _plan(tmp_path, "--experts", "8")
    run = read_plan(path, context_tokens=256, is_dense=False)
    assert run.shape.experts is not None
    assert run.shape.experts.n_experts == 8
    active = run.shape.n_parameters(is_active_only=True)
    assert active == pytest.approx(plan["mixture"]["active_parameters"], rel=0.02)
    assert run.n_tokens == plan["mixture"]["tokens"]
    assert read_plan(path, context_tokens=256, is_dense=True).shape.experts is None


@pytest.mark.parametrize("text", ["", "[]", '{"shape": {}}'])
def test_anything_else_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "plan.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="not a plan"):
        read_plan(path, context_tokens=64, is_dense=False)
