"""Low-rank adapters on a base: put in by `peft`, trained alone, and folded into the weights before export.

LoRA (Hu et al. 2021) keeps the base in float32; QLoRA (Dettmers et al. 2023) keeps it in four bits while training,
and folds the adapters into the base's own weights, not into the rounded ones.
"""

from __future__ import annotations

import importlib.util
import warnings
from typing import Any, Literal

import torch
from transformers import PreTrainedModel

from understudy.errors import ConfigError, MissingDependencyError
from understudy.lm.base_model import BaseModel

__all__ = ["Tuning", "load_for_tuning", "merged", "trained_weights"]

Tuning = Literal["full", "lora", "qlora"]
_CAUSAL_TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
_T5_TARGETS = ["q", "k", "v", "o", "wi", "wi_0", "wi_1", "wo"]


def load_for_tuning(base: BaseModel, tuning: Tuning, *, rank: int, seed: int) -> torch.nn.Module:
    """Load `base` with those parameters open to training that `tuning` trains.

    Parameters
    ----------
    base
        The base.
    tuning
        ``full``: all of them. ``lora`` and ``qlora``: adapters on every matrix of attention and feed-forward parts.
    rank
        Of the adapters; their scale is ``2 * rank``.
    seed
        Of the adapters' start.

    Raises
    ------
    MissingDependencyError
        If ``qlora`` lacks bitsandbytes.
    ConfigError
        If ``qlora`` lacks a GPU.
    """
    if tuning == "full":
        whole: torch.nn.Module = base.load()
        return whole
    model = _four_bits(base) if tuning == "qlora" else base.load()
    return _with_adapters(model, base, rank, seed)


def _four_bits(base: BaseModel) -> PreTrainedModel:
    if importlib.util.find_spec("bitsandbytes") is None:
        raise MissingDependencyError(
            "tuning = qlora needs the package 'bitsandbytes', which is not installed",
            todo="pip install bitsandbytes, or use tuning = lora",
        )
    if not torch.cuda.is_available():
        raise ConfigError(
            "tuning = qlora needs a GPU, and there is none",
            todo="use tuning = lora, which trains the same adapters on a base that is not rounded",
        )
    from transformers import BitsAndBytesConfig

    rounding = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    from peft import prepare_model_for_kbit_training

    model = base.load(quantization_config=rounding, device_map={"": 0})
    ready: PreTrainedModel = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    return ready


def _with_adapters(model: PreTrainedModel, base: BaseModel, rank: int, seed: int) -> torch.nn.Module:
    from peft import LoraConfig, get_peft_model

    settings = LoraConfig(
        r=rank,
        lora_alpha=2 * rank,
        lora_dropout=0.0,
        target_modules=_T5_TARGETS if base.is_seq2seq else _CAUSAL_TARGETS,
    )
    with torch.random.fork_rng(), warnings.catch_warnings():
        # peft asks transformers for what transformers has renamed.
        warnings.simplefilter("ignore", FutureWarning)
        torch.manual_seed(seed)
        adapted: torch.nn.Module = get_peft_model(model, settings)
    return adapted


def trained_weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The parameters that are open to training, by name, as copies on the CPU."""
    return {
        name: parameter.detach().to("cpu", copy=True).contiguous()
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }


def merged(model: Any, base: BaseModel, tuning: Tuning, *, rank: int) -> PreTrainedModel:
    """The trained model without adapters, in float32: their product is added to the weights.

    A base that was rounded to four bits for training is loaded anew, and the adapters are added to what it was.
    """
    if tuning == "full":
        plain: PreTrainedModel = model
        return plain
    if tuning == "qlora":
        weights = trained_weights(model)
        model = _with_adapters(base.load(), base, rank, seed=0)
        model.load_state_dict(weights, strict=False)
    folded: PreTrainedModel = model.merge_and_unload()
    for parameter in folded.parameters():
        parameter.requires_grad_(True)
    return folded
