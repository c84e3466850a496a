"""Teachers of other families: hidden states times the output matrix are their logits, packed or alone."""

import pytest
import torch
from transformers import (
    GemmaConfig,
    GemmaForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from understudy.lm.rows import RowBatches, TokenRow
from understudy.lm.teacher_states import TeacherStates

SIZES = {
    "vocab_size": 60,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
}
FAMILIES = {
    "gpt2": lambda: GPT2LMHeadModel(
        GPT2Config(vocab_size=60, n_embd=16, n_layer=2, n_head=2, n_positions=32)
    ),
    "gemma": lambda: GemmaForCausalLM(GemmaConfig(**SIZES)),
    "mistral": lambda: MistralForCausalLM(MistralConfig(**SIZES)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SIZES)),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**SIZES)),
}


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_states_give_the_logits_of_each_row_alone(family):
    torch.manual_seed(0)
    teacher = FAMILIES[family]().eval()
    rows = [TokenRow((3, 4), (5, 6, 7)), TokenRow((8,), (9, 10)), TokenRow((11, 12, 13), (14,))]
    data = RowBatches(rows, sequence_tokens=16, pad_id=0)
    states = TeacherStates(teacher)
    found = states.at(data.take([0])) @ states.head.T
    expected = []
    for row in rows:
        tokens = torch.tensor([[*row.prompt, *row.answer]])
        with torch.no_grad():
            expected.append(teacher(input_ids=tokens).logits[0, len(row.prompt) - 1 : -1])
    assert torch.allclose(found, torch.cat(expected), atol=1e-5)
