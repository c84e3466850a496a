"""Our blocks against transformers' own Mixtral and DeepSeek-V3, given the same weights."""

from dataclasses import replace

import pytest
import torch
from tiny_decoder import DENSE
from transformers import DeepseekV3Config, MixtralConfig, MixtralForCausalLM
from transformers.models.deepseek_v3.modeling_deepseek_v3 import DeepseekV3MoE
from transformers.models.mixtral.modeling_mixtral import load_balancing_loss_func

from understudy.lm.balance import switch_loss
from understudy.lm.config import ExpertsConfig
from understudy.lm.decoder import build_decoder, expert_blocks
from understudy.lm.experts import ExpertBlock


@torch.no_grad()
def copy_experts(block, experts):
    """Ours multiply from the left, theirs are laid out as torch's linear layers."""
    experts.gate_up_proj.copy_(block.experts.gate_up.transpose(1, 2))
    experts.down_proj.copy_(block.experts.down.transpose(1, 2))


def test_renormalised_softmax_experts_in_every_layer_are_mixtral():
    shape = replace(DENSE, experts=ExpertsConfig(4, 2, 48))
    ours = build_decoder(shape, seed=0)
    for parameter in ours.parameters():
        parameter.data.mul_(4)
    theirs = MixtralForCausalLM(
        MixtralConfig(
            vocab_size=80,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=8,
            num_local_experts=4,
            num_experts_per_tok=2,
            max_position_embeddings=64,
            rms_norm_eps=1e-6,
            rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
            tie_word_embeddings=True,
            sliding_window=None,
            bos_token_id=None,
            eos_token_id=None,
        )
    )
    theirs.load_state_dict(ours.state_dict(), strict=False)
    for block, layer in zip(expert_blocks(ours), theirs.model.layers, strict=True):
        copy_experts(block, layer.mlp.experts)
        layer.mlp.gate.weight.data.copy_(block.router.weight)
    ids = torch.arange(60).view(3, 20)
    with torch.no_grad():
        expected = theirs.eval()(ids).logits
        torch.testing.assert_close(
            ours.eval()(ids).logits, expected, rtol=1e-4, atol=1e-4 * expected.abs().max()
        )


@pytest.mark.parametrize("is_renormalised", [True, False])
def test_sigmoid_gates_with_bias_and_shared_experts_are_deepseeks(is_renormalised):
    config = ExpertsConfig(
        6, 2, 8, n_shared=2, gate="sigmoid", routed_scale=2.5, is_renormalised=is_renormalised
    )
    theirs = DeepseekV3MoE(
        DeepseekV3Config(
            hidden_size=16,
            moe_intermediate_size=8,
            n_routed_experts=6,
            n_shared_experts=2,
            num_experts_per_tok=2,
            n_group=1,
            topk_group=1,
            norm_topk_prob=is_renormalised,
            routed_scaling_factor=2.5,
        )
    )
    torch.manual_seed(0)
    ours = ExpertBlock(16, config)
    for parameter in ours.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    ours.router.bias += torch.linspace(-0.3, 0.3, 6)
    copy_experts(ours, theirs.experts)
    with torch.no_grad():
        theirs.gate.weight.copy_(ours.router.weight)
        theirs.gate.e_score_correction_bias.copy_(ours.router.bias)
        for name in ("gate_proj", "up_proj", "down_proj"):
            getattr(theirs.shared_experts, name).weight.copy_(ours.shared[name].weight)
        x = torch.randn(2, 15, 16)
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-5)
    plain = ours.routing.experts_TK
    ours.router.bias.zero_()
    assert not torch.equal(ours.router(x.view(-1, 16)).experts_TK, plain)  # the bias did choose


def test_the_switch_loss_is_mixtrals_over_the_choices():
    # Mixtral's adds the shares of all K choices, ours takes their mean, so that 1 is even for any K.
    block = ExpertBlock(16, ExpertsConfig(5, 3, 8))
    torch.manual_seed(0)
    torch.nn.init.normal_(block.router.weight)
    with torch.no_grad():
        routing = block.router(torch.randn(50, 16))
        theirs = load_balancing_loss_func((routing.logits_TE,), 5, 3)
    assert float(switch_loss(routing)) == pytest.approx(float(theirs) / 3, rel=1e-5)
