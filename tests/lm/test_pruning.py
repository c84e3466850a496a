"""Pruning: what does nothing can go without a change, and what goes is what does least."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from loud_decoder import SHAPE, dense, logits, text
from tiny_decoder import MIXTURE
from transformers import (
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from understudy.errors import ConfigError
from understudy.lm.decoder import build_decoder, load_decoder, shape_of
from understudy.lm.importance import Importance, layers_of, measure_importance
from understudy.lm.prune import PruneAim, default_aim, prune
from understudy.lm.train import next_token_loss


def silence_layer(layer: torch.nn.Module) -> None:
    layer.self_attn.o_proj.weight.data.zero_()
    layer.mlp.down_proj.weight.data.zero_()


def test_a_layer_that_does_nothing_goes_without_a_change() -> None:
    model, given = dense(), text()
    silence_layer(layers_of(model)[1])
    found = measure_importance(model, [given])
    assert found.layers_L[1] == pytest.approx(0, abs=1e-6)
    assert min(found.layers_L[0], found.layers_L[2]) > 0.01
    small = prune(model, found, PruneAim(n_layers=2))
    assert shape_of(small) == replace(SHAPE, n_layers=2)
    torch.testing.assert_close(logits(small, given), logits(model, given))


def test_heads_that_do_nothing_go_without_a_change() -> None:
    model, given = dense(), text()
    width = SHAPE.head_width
    for layer, head in zip(layers_of(model), (1, 2, 0), strict=True):  # heads 0, 1 and 2, 3 share keys
        partner = head ^ 1
        layer.self_attn.o_proj.weight.data[:, head * width : (head + 1) * width] = 0
        layer.self_attn.o_proj.weight.data[:, partner * width : (partner + 1) * width] = 0
    found = measure_importance(model, [given])
    assert (found.heads_LH == 0).sum() == 6
    small = prune(model, found, PruneAim(n_kv_heads=1))
    assert shape_of(small) == replace(SHAPE, n_heads=2, n_kv_heads=1, d_head=width)
    torch.testing.assert_close(logits(small, given), logits(model, given))


def test_query_heads_go_equally_from_each_key_value_head() -> None:
    model, given = dense(), text()
    width = SHAPE.head_width
    for layer in layers_of(model):
        for head in (1, 2):
            layer.self_attn.o_proj.weight.data[:, head * width : (head + 1) * width] = 0
    small = prune(model, measure_importance(model, [given]), PruneAim(n_heads=2))
    assert (shape_of(small).n_heads, shape_of(small).n_kv_heads) == (2, 2)
    torch.testing.assert_close(logits(small, given), logits(model, given))


def test_channels_that_do_nothing_go_without_a_change() -> None:
    model, given = dense(), text()
    for at, layer in enumerate(layers_of(model)):
        layer.mlp.down_proj.weight.data[:, at::2] = 0
    found = measure_importance(model, [given])
    small = prune(model, found, PruneAim(d_ff=SHAPE.d_ff // 2 + 1))
    assert shape_of(small).d_ff == SHAPE.d_ff // 2 + 1
    torch.testing.assert_close(logits(small, given), logits(model, given))


def test_the_least_important_channels_are_those_whose_removal_changes_least() -> None:
    model, given = dense(), text()
    found = measure_importance(model, [given])
    before = logits(model, given)
    upside_down = Importance(found.layers_L, found.heads_LH, -found.channels_LF)

    def change(by: Importance) -> float:
        return float((logits(prune(model, by, PruneAim(d_ff=32)), given) - before).square().mean())

    assert change(found) < 0.5 * change(upside_down)


def test_head_importance_is_the_slope_of_the_loss_by_a_switch_on_the_head() -> None:
    model, given = dense(), text(n=1)
    found = measure_importance(model, [given])
    step, width = 1e-3, SHAPE.head_width
    for layer, head in ((0, 0), (2, 3)):
        columns = slice(head * width, (head + 1) * width)
        weight = layers_of(model)[layer].self_attn.o_proj.weight.data
        kept = weight[:, columns].clone()
        losses = []
        for switch in (1 - step, 1 + step):
            weight[:, columns] = kept * switch
            with torch.no_grad():
                losses.append(float(next_token_loss(model.double(), given)))
            model.float()
            weight = layers_of(model)[layer].self_attn.o_proj.weight.data
        weight[:, columns] = kept
        assert float(found.heads_LH[layer, head]) == pytest.approx(
            abs(losses[1] - losses[0]) / (2 * step), rel=2e-2
        )


def test_measuring_leaves_the_model_as_it_was() -> None:
    model, given = dense(), text()
    model.train().requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    measure_importance(model, [given, given])
    assert model.training
    assert not any(parameter.requires_grad or parameter.grad is not None for parameter in model.parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


@pytest.mark.parametrize(
    "build",
    [
        lambda words: MistralForCausalLM(MistralConfig(**words, sliding_window=None)),
        lambda words: Qwen2ForCausalLM(Qwen2Config(**words)),
        lambda words: Qwen3ForCausalLM(Qwen3Config(**words, head_dim=16)),
    ],
    ids=["mistral", "qwen2", "qwen3"],
)
def test_other_kinds_are_cut_likewise(
    build: Callable[[dict[str, int]], PreTrainedModel], tmp_path: str
) -> None:
    words = {
        "vocab_size": 80,
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 48,
        "max_position_embeddings": 64,
    }
    torch.manual_seed(2)
    model, given = build(words).eval(), text()
    layers = layers_of(model)
    silence_layer(layers[0])
    for layer in layers:
        width = layer.self_attn.head_dim
        layer.self_attn.o_proj.weight.data[:, : 2 * width] = 0
        layer.mlp.down_proj.weight.data[:, :16] = 0
    small = prune(model, measure_importance(model, [given]), PruneAim(n_layers=2, n_kv_heads=1, d_ff=32))
    torch.testing.assert_close(logits(small, given), logits(model, given))
    small.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path).eval()
    torch.testing.assert_close(logits(again, given), logits(small, given))


def test_what_is_pruned_is_a_llama_that_loads_and_trains(tmp_path: str) -> None:
    model, given = dense(replace(SHAPE, is_tied=False)), text()
    small = prune(
        model, measure_importance(model, [given]), PruneAim(n_layers=2, n_heads=2, n_kv_heads=1, d_ff=40)
    )
    assert type(small) is LlamaForCausalLM
    small.save_pretrained(tmp_path)
    again = load_decoder(tmp_path)
    assert shape_of(again).n_parameters() == sum(parameter.numel() for parameter in again.parameters())
    torch.testing.assert_close(logits(again, given), logits(small, given))
    next_token_loss(again, given).backward()
    assert all(parameter.grad is not None for parameter in again.parameters())


def test_the_default_takes_a_quarter_of_layers_and_channels() -> None:
    assert default_aim(dense(replace(SHAPE, n_layers=4))) == PruneAim(n_layers=3, d_ff=40)


@pytest.mark.parametrize(
    ("aim", "word"),
    [
        (PruneAim(n_layers=0), "layers"),
        (PruneAim(n_layers=4), "layers"),
        (PruneAim(d_ff=49), "channels"),
        (PruneAim(n_heads=3), "equally many"),
        (PruneAim(n_kv_heads=1, n_heads=3), "heads that are left"),
    ],
)
def test_impossible_sizes_are_refused(aim: PruneAim, word: str) -> None:
    model = dense()
    with pytest.raises(ConfigError, match=word):
        prune(model, measure_importance(model, [text()]), aim)


def test_heads_that_no_llama_can_have_are_refused() -> None:
    model = dense(replace(SHAPE, d_model=32, n_heads=4, n_kv_heads=4))
    with pytest.raises(ConfigError, match="multiple of its heads"):
        prune(model, measure_importance(model, [text()]), PruneAim(n_kv_heads=3))


def test_mixtures_are_refused() -> None:
    with pytest.raises(ConfigError, match="dense"):
        measure_importance(build_decoder(MIXTURE, seed=0), [text()])
