"""Answers do not depend on what is written beside them, and are what transformers writes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

from lm.tiny_decoder import DENSE
from understudy.export.decoder import export_decoder
from understudy.lm.decoder import build_decoder
from understudy.runtime.decoder import Decoder
from understudy.runtime.engines import load_engine
from understudy.runtime.generate import Sampling, generate, write_tokens

ENDS = [3, 5, 7]
MOST = 30


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    built = build_decoder(DENSE, seed=1).eval()
    with torch.no_grad():
        for weights in built.parameters():
            if weights.ndim > 1:
                weights.mul_(12)
    return built


@pytest.fixture(scope="module")
def decoders(model: PreTrainedModel, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Decoder]:
    made = {}
    for precision in ("float32", "int8", "int4"):
        folder = tmp_path_factory.mktemp(precision)
        made[precision] = load_engine(folder, export_decoder(model, folder, precision=precision))
    return made


@pytest.fixture
def decoder(decoders: dict[str, Decoder]) -> Decoder:
    return decoders["float32"]


def some_prompts(count: int) -> list[list[int]]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 80, rng.integers(1, 30)).tolist() for _ in range(count)]


def test_greedy_is_that_of_transformers(model: PreTrainedModel, decoder: Decoder) -> None:
    for prompt in some_prompts(5):
        with torch.no_grad():
            whole = model.generate(
                torch.tensor([prompt]),
                attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
                max_new_tokens=MOST,
                do_sample=False,
                eos_token_id=ENDS,
                pad_token_id=0,
            )
        (written,) = generate(decoder, [prompt], end_ids=ENDS, max_new_tokens=MOST)
        wanted = whole[0, len(prompt) :].tolist()
        assert written.tokens + [wanted[-1]] * written.is_finished == wanted
        assert written.is_finished == (wanted[-1] in ENDS)


@pytest.mark.parametrize("precision", ["float32", "int8", "int4"])
@pytest.mark.parametrize("sampling", [None, Sampling(temperature=0.8, seed=4)])
def test_company_changes_no_bit(
    decoders: dict[str, Decoder], precision: str, sampling: Sampling | None
) -> None:
    decoder = decoders[precision]
    prompts = some_prompts(19)
    prompts[11] = prompts[4]
    whole = generate(decoder, prompts, end_ids=ENDS, max_new_tokens=MOST, sampling=sampling)
    for size in (1, 5):
        pieces = [
            one
            for at in range(0, len(prompts), size)
            for one in generate(
                decoder, prompts[at : at + size], end_ids=ENDS, max_new_tokens=MOST, sampling=sampling
            )
        ]
        assert pieces == whole
    assert any(one.is_finished for one in whole)
    assert any(not one.is_finished for one in whole)


def test_log_probabilities_are_the_models(model: PreTrainedModel, decoder: Decoder) -> None:
    prompt = some_prompts(1)[0]
    (written,) = generate(decoder, [prompt], end_ids=[], max_new_tokens=8)
    with torch.no_grad():
        scores = model(torch.tensor([prompt + written.tokens])).logits[0, len(prompt) - 1 : -1].double()
    wanted = scores.log_softmax(-1)
    np.testing.assert_allclose(
        written.logprobs, wanted[range(8), written.tokens].numpy(), rtol=1e-3, atol=1e-5
    )
    first, second = wanted.exp().topk(2).values.unbind(-1)
    np.testing.assert_allclose(written.margins, (first - second).numpy(), rtol=1e-3, atol=1e-5)
    assert not written.is_finished


def test_seeds_give_other_answers(decoder: Decoder) -> None:
    prompts = [some_prompts(1)[0]] * 2
    first, again = generate(decoder, prompts, end_ids=[], max_new_tokens=MOST, sampling=Sampling(seed=1))
    (other,) = generate(decoder, prompts[:1], end_ids=[], max_new_tokens=MOST, sampling=Sampling(seed=2))
    assert first == again
    assert first.tokens != other.tokens
    each = [Sampling(seed=1), Sampling(seed=2)]
    assert generate(decoder, prompts, end_ids=[], max_new_tokens=MOST, sampling=each) == [first, other]


def test_the_context_ends_an_answer(decoder: Decoder) -> None:
    (written,) = generate(decoder, [[1] * 60], end_ids=[], max_new_tokens=MOST)
    assert len(written.tokens) == DENSE.context_tokens - 60
    assert not written.is_finished


def test_token_by_token_is_the_same(decoder: Decoder) -> None:
    for prompt in some_prompts(3):
        counts = []
        for one in write_tokens(decoder, prompt, end_ids=ENDS, max_new_tokens=MOST):
            counts.append(len(one.tokens))
            last = one
        assert [last] == generate(decoder, [prompt], end_ids=ENDS, max_new_tokens=MOST)
        assert counts == sorted(counts)
