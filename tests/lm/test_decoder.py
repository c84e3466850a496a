import json
from dataclasses import replace

import pytest
import torch
from tiny_decoder import DENSE, MIXTURE
from transformers import LlamaForCausalLM

from understudy.errors import ArtefactError, ConfigError
from understudy.lm.decoder import build_decoder, expert_blocks, load_decoder, shape_of

SHAPES = [
    DENSE,
    MIXTURE,
    replace(MIXTURE, experts=replace(MIXTURE.experts, every=2, gate="sigmoid"), is_tied=False, d_head=6),
]


@pytest.mark.parametrize("shape", SHAPES, ids=["dense", "mixture", "every second layer"])
def test_counts_shape_and_files_agree_with_the_built_model(shape, tmp_path):
    model = build_decoder(shape, seed=3, end_token=0).eval()
    assert sum(parameter.numel() for parameter in model.parameters()) == shape.n_parameters()
    assert len(expert_blocks(model)) == shape.n_expert_layers
    assert all(parameter.isfinite().all() for parameter in model.parameters())
    assert shape_of(model) == shape
    model.save_pretrained(tmp_path)
    again = load_decoder(tmp_path).eval()
    ids = torch.arange(24).view(2, 12)
    with torch.no_grad():
        assert torch.equal(again(ids).logits, model(ids).logits)
    assert shape_of(again) == shape


def test_a_dense_model_is_a_plain_llama():
    assert type(build_decoder(DENSE, seed=0)) is LlamaForCausalLM


def test_the_seed_fixes_the_weights_and_leaves_the_callers_random_state():
    torch.manual_seed(9)
    expected = torch.rand(3)
    torch.manual_seed(9)
    one, two, other = (build_decoder(MIXTURE, seed=seed) for seed in (4, 4, 5))
    assert torch.equal(torch.rand(3), expected)
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(one.lm_head.weight, other.lm_head.weight)
    stacks = [block.experts.gate_up for block in expert_blocks(one)]
    assert all(0.015 < float(stack.detach().std()) < 0.025 for stack in stacks)


def test_generation_with_a_cache_equals_generation_without():
    model = build_decoder(MIXTURE, seed=2).eval()
    ids = torch.arange(10).view(1, 10)
    words = {
        "attention_mask": torch.ones_like(ids),
        "max_new_tokens": 8,
        "do_sample": False,
        "pad_token_id": 0,
    }
    cached = model.generate(ids, use_cache=True, **words)
    assert torch.equal(cached, model.generate(ids, use_cache=False, **words))
    assert cached.shape == (1, 18)


def test_damaged_and_foreign_folders_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="holds no model"):
        load_decoder(tmp_path)
    model = build_decoder(MIXTURE, seed=0)
    model.save_pretrained(tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ArtefactError, match="cannot be read"):
        load_decoder(tmp_path)
    build_decoder(DENSE, seed=0).save_pretrained(tmp_path / "biased")
    config = json.loads((tmp_path / "biased" / "config.json").read_text())
    (tmp_path / "biased" / "config.json").write_text(json.dumps({**config, "mlp_bias": True}))
    with pytest.raises(ConfigError, match="not understood"):
        load_decoder(tmp_path / "biased")
