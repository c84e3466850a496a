"""A BERT small enough for tests, with a WordPiece tokenizer, written as a Hugging Face folder."""

from __future__ import annotations

import json
import string
from pathlib import Path

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

WORDS = (
    "the parcel refund invoice from north south east office order please now where is my it came late broken "
    "pay cancel return red blue green shirt shoe brand size acme zeta a man dog sleeps runs not and or of to"
).split()


def tiny_tokenizer() -> Tokenizer:
    """Lower-cased words of WORDS, else characters."""
    signs = string.ascii_lowercase + string.digits + string.punctuation + "订单退款我的你"
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *signs, *(f"##{sign}" for sign in signs)]
    vocabulary += [word for word in WORDS if word not in vocabulary]
    table = {word: at for at, word in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.WordPiece(table, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    # As many published tokenizers do; the product must take both off.
    tokenizer.enable_padding(length=32)
    tokenizer.enable_truncation(16)
    return tokenizer


def write_tiny_encoder(folder: Path, *, layers: int = 2, family: str = "bert") -> Path:
    """Seeded random weights; `family` is ``bert``, ``distilbert``, ``roberta`` or ``mpnet``."""
    import torch
    import transformers

    torch.manual_seed(0)
    tokenizer = tiny_tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    common = {"vocab_size": tokenizer.get_vocab_size(), "max_position_embeddings": 80, "pad_token_id": 0}
    if family == "distilbert":
        config = transformers.DistilBertConfig(**common, dim=32, n_layers=layers, n_heads=4, hidden_dim=64)
    else:
        kind = {"bert": "BertConfig", "roberta": "RobertaConfig", "mpnet": "MPNetConfig"}[family]
        config = getattr(transformers, kind)(
            **common, hidden_size=32, num_hidden_layers=layers, num_attention_heads=4, intermediate_size=64
        )
    model = transformers.AutoModel.from_config(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "LayerNorm" not in name and "layer_norm" not in name:
                parameter.normal_(0.0, 0.15)
    model.save_pretrained(folder)
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 64}), encoding="utf-8")
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# Tiny\n", encoding="utf-8")
    return folder
