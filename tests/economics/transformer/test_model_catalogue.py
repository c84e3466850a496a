"""The catalogue of models: counts from sizes agree with published counts."""

from __future__ import annotations

import pytest

from understudy.economics.transformer.catalogue import find_model, known_models
from understudy.economics.transformer.parameters import count_parameters
from understudy.errors import ConfigError

# Published in few digits: the card says 1.7B for a checkpoint of 1.72B weights.
ROUNDED = {"qwen3-1.7b": 0.015}
# Published without embeddings, by name (2.4B).
NON_EMBEDDING = {"minicpm-2b"}
# Active parameters are published in two digits, and families count tables and routers in or out:
# DeepSeek-V2-Lite's 2.4B are the weights that a token is multiplied with, JetMoE's 2.2B are given without more.
ACTIVE_TOLERANCE = {"deepseek-v2-lite": 0.12, "jetmoe-8b": 0.07}


@pytest.mark.parametrize("name", known_models())
def test_counts_agree_with_published_ones_within_a_percent(name: str) -> None:
    model = known_models()[name]
    counts = count_parameters(model.shape)
    counted = counts.non_embedding if name in NON_EMBEDDING else counts.total
    assert counted == pytest.approx(model.parameters, rel=ROUNDED.get(name, 0.01))
    assert (model.active_parameters is not None) == model.shape.is_mixture
    if model.active_parameters is None:
        assert counts.active == counts.total
    else:
        assert counts.active == pytest.approx(model.active_parameters, rel=ACTIVE_TOLERANCE.get(name, 0.035))
    assert model.source
    assert model.licence


def test_the_catalogue_holds_what_people_ask_for() -> None:
    assert len(known_models()) >= 25
    kinds = {model.shape.attention for model in known_models().values()}
    assert kinds == {"full", "latent", "mixture"}
    assert any(0 < model.shape.n_window_layers < model.shape.n_layers for model in known_models().values())


def test_an_unknown_model_names_near_ones() -> None:
    assert find_model(" Llama-3.1-8B ").id == "llama-3.1-8b"
    with pytest.raises(ConfigError, match=r"llama-3\.1-8b.*--list-models"):
        find_model("llama-3.1-9b")
