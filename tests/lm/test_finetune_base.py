"""Bases that cannot be used end in one error that says what to do; a chat template is rendered once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from lm.tiny_base import make_base
from understudy.errors import ConfigError, MissingDependencyError, UnderstudyError
from understudy.lm.adapters import load_for_tuning
from understudy.lm.base_model import resolve_base_model

CHAT = (
    "{% for m in messages %}<s>{{ m.role }}: {{ m.content }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant: {% endif %}"
)
NO_SYSTEM = (
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no') }}{% endif %}" + CHAT[23:]
)


def change(folder: Path, file: str, **words: Any) -> None:
    path = folder / file
    path.write_text(json.dumps(json.loads(path.read_text()) | words))


def test_where_a_base_comes_from_is_kept(tmp_path: Path) -> None:
    (make_base(tmp_path) / "README.md").write_text("---\nlicense: mit\n---\n")
    told = resolve_base_model(str(tmp_path)).provenance()
    assert told["licence"] == "mit"
    assert told["source"] == "folder"
    assert told["revision"] is None
    assert len(told["weights_sha256"]) == 64


@pytest.mark.parametrize(
    ("template", "before"),
    [
        (CHAT, "<s>system: Be short.</s><s>user: "),
        (NO_SYSTEM, "<s>user: Be short.\n\n"),
    ],
)
def test_a_chat_template_is_rendered_around_the_input(tmp_path: Path, template: str, before: str) -> None:
    base = resolve_base_model(str(make_base(tmp_path)))
    tokeniser = base.tokeniser()
    plain = base.format(tokeniser, instructions="Be short.", is_plain=True)
    assert (plain.before, plain.after) == ("Be short.\n\n", "\n\n")
    tokeniser.chat_template = template
    form = base.format(tokeniser, instructions="Be short.", is_plain=False)
    assert (form.before, form.after) == (before, "</s><s>assistant: ")
    assert not form.is_plain
    tokeniser.chat_template = "hello"
    with pytest.raises(ConfigError, match="does not show what the user says"):
        base.format(tokeniser, instructions=None, is_plain=True)


def test_more_tokens_may_end_an_answer_than_training_uses(tmp_path: Path) -> None:
    base = resolve_base_model(str(make_base(tmp_path)))
    change(tmp_path, "generation_config.json", eos_token_id=[5, 0, 7])
    assert base.end_ids(base.tokeniser()) == (0, 5, 7)


def test_a_base_that_is_not_there_names_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="holds no language model"):
        resolve_base_model(str(tmp_path))
    monkeypatch.setattr("huggingface_hub.snapshot_download", _offline)
    with pytest.raises(ConfigError, match="check the id and the network, or name a local folder"):
        resolve_base_model("someone/some-model")


def _offline(*_args: Any, **_words: Any) -> str:
    raise ConnectionError("no network")


def test_a_base_of_another_type_is_refused(tmp_path: Path) -> None:
    change(make_base(tmp_path), "config.json", model_type="mamba")
    with pytest.raises(ConfigError, match="llama, mistral, qwen2, qwen3, or t5"):
        resolve_base_model(str(tmp_path))
    change(tmp_path, "config.json", model_type="llama")
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ConfigError, match="no weights as safetensors"):
        resolve_base_model(str(tmp_path))


def test_a_tokenizer_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="tokens that the model does not know"):
        resolve_base_model(str(make_base(tmp_path, vocab_size=260))).tokeniser()


def test_a_tokenizer_without_an_end_is_refused(tmp_path: Path) -> None:
    change(make_base(tmp_path), "tokenizer_config.json", eos_token=None)
    with pytest.raises(ConfigError, match="no token that ends a text"):
        resolve_base_model(str(tmp_path)).tokeniser()
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "tokenizer_config.json").unlink()
    with pytest.raises(ConfigError, match="no tokenizer that can be read"):
        resolve_base_model(str(tmp_path)).tokeniser()


def test_weights_that_cannot_be_read_or_held_are_one_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = resolve_base_model(str(make_base(tmp_path)))
    (tmp_path / "model.safetensors").write_bytes(b"cut")
    with pytest.raises(ConfigError, match="cannot be read"):
        base.load()

    def full(*_args: Any, **_words: Any) -> Any:
        raise torch.OutOfMemoryError("tried to take 40 GB")

    monkeypatch.setattr("transformers.AutoModelForCausalLM.from_pretrained", full)
    with pytest.raises(UnderstudyError, match="not enough memory"):
        base.load()


def test_four_bits_name_the_package_or_the_gpu_that_they_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = resolve_base_model(str(make_base(tmp_path)))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="pip install bitsandbytes"):
        load_for_tuning(base, "qlora", rank=2, seed=0)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ConfigError, match="needs a GPU"):
        load_for_tuning(base, "qlora", rank=2, seed=0)
