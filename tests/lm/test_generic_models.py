"""The loop on models that are no decoders of ours: other causal ones, adapters, encoder-decoders."""

from dataclasses import dataclass, replace

import peft
import pytest
import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from understudy.errors import ConfigError
from understudy.lm.flops import train_flops_per_token
from understudy.lm.objective import next_token_loss
from understudy.lm.packing import NOTHING
from understudy.lm.rows import RowBatches, TokenRow
from understudy.lm.schedule import Schedule
from understudy.lm.settings import TrainSettings
from understudy.lm.train import train

# peft asks transformers 5 for an attribute by its old name.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")

SETTINGS = TrainSettings(
    Schedule(6, warm_up_steps=1),
    batch_sequences=4,
    sequence_tokens=16,
    checkpoint_every=2,
    validate_every=6,
    validate_sequences=4,
    precision="float32",
)
ROWS = [TokenRow((3 + n % 7, 11), (20 + n % 7, 2)) for n in range(48)]
SIZES = {"vocab_size": 64, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2}


class Killed(BaseException):
    """Stands for the signal."""


def kill_at_3(record, pace):
    if record.step == 3:
        raise Killed


def qwen():
    torch.manual_seed(0)
    words = {"num_attention_heads": 2, "num_key_value_heads": 1, "tie_word_embeddings": False}
    return Qwen2ForCausalLM(Qwen2Config(**SIZES, **words, bos_token_id=0, eos_token_id=2))


def adapted():
    return peft.get_peft_model(qwen(), peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"]))


def gpt2():
    torch.manual_seed(0)
    words = {"bos_token_id": 0, "eos_token_id": 2, "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    return GPT2LMHeadModel(GPT2Config(vocab_size=64, n_embd=16, n_layer=2, n_head=2, **words))


@pytest.fixture(scope="module")
def rows():
    return RowBatches(ROWS, sequence_tokens=16, pad_id=0)


@pytest.mark.parametrize("make", [qwen, gpt2, adapted])
def test_it_learns_and_goes_on_to_the_same_bits(make, rows, tmp_path):
    model = make()
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    whole = train(model, rows, SETTINGS, tmp_path / "whole", valid=rows)
    assert whole.records[-1].valid_loss < whole.records[0].loss
    for name, parameter in model.named_parameters():
        assert torch.equal(before[name], parameter) == (not parameter.requires_grad), name
    with pytest.raises(Killed):
        train(make(), rows, SETTINGS, tmp_path / "cut", valid=rows, on_step=kill_at_3)
    again = make()
    assert train(again, rows, SETTINGS, tmp_path / "cut", valid=rows).records == whole.records
    for one, other in zip(again.parameters(), model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_another_model_does_not_go_on_with_the_run(rows, tmp_path):
    with pytest.raises(Killed):
        train(qwen(), rows, SETTINGS, tmp_path, on_step=kill_at_3)
    with pytest.raises(ConfigError, match="other settings"):
        train(gpt2(), rows, SETTINGS, tmp_path)
    with pytest.raises(ConfigError, match="trained_parameters"):
        train(adapted(), rows, SETTINGS, tmp_path)


@pytest.mark.parametrize("make", [qwen, gpt2])
def test_the_loss_is_that_of_all_logits(make, rows):
    model, pack = make(), rows.take(range(4))
    for at_once in (pack, *pack.split(2)):
        logits = model(
            input_ids=at_once.tokens_BS,
            position_ids=at_once.positions_BS,
            attention_mask=at_once.attends(),
            use_cache=False,
        ).logits
        expected = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), at_once.labels_BS.flatten(), ignore_index=NOTHING, reduction="sum"
        )
        torch.testing.assert_close(next_token_loss(model, at_once), expected)


def test_one_piece_needs_no_mask_and_gives_the_same(rows):
    one = RowBatches([TokenRow((5, 6, 7, 8), (9, 10, 11, 2), 0.5)], sequence_tokens=16, pad_id=0).take([0])
    (cut,) = one.split(1)
    assert cut.is_single
    assert not one.is_single
    assert not rows.take([0]).split(1)[0].is_single
    torch.testing.assert_close(next_token_loss(qwen(), cut), next_token_loss(qwen(), one))


def test_many_labels_are_computed_in_chunks(rows, monkeypatch):
    pack, model = rows.take(range(8)), qwen()
    weighed = replace(pack, weights_BS=torch.rand(pack.tokens_BS.shape))
    for one in (pack, weighed):
        expected = next_token_loss(model, one)
        wanted = torch.autograd.grad(expected, list(model.parameters()))
        with monkeypatch.context() as patch:
            patch.setattr("understudy.lm.objective.default_chunk_positions", lambda _: 3)
            loss = next_token_loss(model, one)
        torch.testing.assert_close(loss, expected)
        for found, gradient in zip(torch.autograd.grad(loss, list(model.parameters())), wanted, strict=True):
            torch.testing.assert_close(found, gradient)


@dataclass(frozen=True)
class Pairs:
    """What an encoder-decoder reads, and what it should write."""

    given: torch.Tensor
    labels: torch.Tensor

    @property
    def n_labels(self):
        return int((self.labels != NOTHING).sum())

    @property
    def n_sequences(self):
        return len(self.given)

    def to(self, device):
        return Pairs(self.given.to(device), self.labels.to(device))

    def split(self, n_sequences):
        parts = zip(self.given.split(n_sequences), self.labels.split(n_sequences), strict=True)
        return [Pairs(*part) for part in parts]


class PairBatches:
    fingerprint, seed, n_sequences = "pairs", 0, 12

    def take(self, numbers):
        first = torch.tensor([[3 + n % 5, 4, 5] for n in numbers])
        return Pairs(first, torch.cat([first[:, :1] + 20, torch.full_like(first[:, :1], NOTHING)], 1))

    def batch(self, number, size):
        return self.take([n % 12 for n in range(number * size, (number + 1) * size)])


def written_loss(model, pairs):
    logits = model(input_ids=pairs.given, labels=pairs.labels.clamp(min=0)).logits
    return torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), pairs.labels.flatten(), ignore_index=NOTHING, reduction="sum"
    )


def test_an_encoder_decoder_trains_by_an_objective_of_its_own(tmp_path):
    torch.manual_seed(0)
    words = {"d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 1, "num_heads": 2, "dropout_rate": 0.0}
    model = T5ForConditionalGeneration(
        T5Config(vocab_size=64, decoder_start_token_id=0, pad_token_id=0, eos_token_id=1, **words)
    )
    settings = replace(SETTINGS, schedule=Schedule(20), learning_rate=0.02, micro_sequences=3)
    data = PairBatches()
    run = train(
        model, data, settings, tmp_path, valid=data, objective=written_loss, valid_objective=written_loss
    )
    assert run.records[-1].valid_loss < run.records[0].loss - 1


def test_operations_are_six_for_a_trained_weight_and_four_for_a_frozen_one():
    model = gpt2()  # its embedding is its output matrix, and positions are looked up
    n = sum(parameter.numel() for parameter in model.parameters()) - model.transformer.wpe.weight.numel()
    assert train_flops_per_token(model, 16) == 6 * n
    base = qwen()
    n = sum(parameter.numel() for parameter in base.parameters()) - base.get_input_embeddings().weight.numel()
    assert train_flops_per_token(base, 16) == 6 * n
    small = adapted()
    n_trained = sum(parameter.numel() for parameter in small.parameters() if parameter.requires_grad)
    assert train_flops_per_token(small, 16) == 4 * n + 6 * n_trained
