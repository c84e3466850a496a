"""Writes a causal language model and its tokenizer as one GGUF file, the format of llama.cpp.

Halves and 8-bit blocks are written here with the ``gguf`` package; the other formats are llama.cpp's own work
(:mod:`understudy.export.gguf_quantise`), from a file of float32 that is deleted afterwards. What a format loses
is not known here: judge the file by what it answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from understudy.errors import ConfigError, MissingDependencyError
from understudy.export.gguf_model import GgufModel, gguf_model
from understudy.export.gguf_quantise import LLAMA_FORMATS, quantise
from understudy.export.gguf_vocabulary import GgufVocabulary, gguf_vocabulary

__all__ = ["QUANTISATIONS", "export_gguf", "tensor_types"]

_FILE = "model.gguf"
_OWN_FORMATS = ("f32", "f16", "q8_0")
QUANTISATIONS = (*_OWN_FORMATS, *LLAMA_FORMATS)
"""Formats of the weights, by llama.cpp's names in lower case."""


def export_gguf(
    model: Any,
    tokeniser: Tokenizer,
    folder: Path,
    *,
    end_id: int,
    quantisation: str = "q4_k_s",
) -> dict[str, Any]:
    """Write ``model.gguf`` into `folder`.

    Parameters
    ----------
    model
        A causal model of transformers, of type llama (our own dense decoder among them), mistral, qwen2 or
        qwen3. Adapters must be merged.
    tokeniser
        Its tokenizer. A byte-level BPE is written into the file so that other programs can use it; of other
        kinds only the number of tokens is (whoever runs the file must pass ids, as the runtime here does).
    end_id
        The token that ends a text.
    quantisation
        One of ``QUANTISATIONS``. Blocks of k-quants are 256 long and others 32: where a matrix's rows are no
        multiple of that, llama.cpp takes a coarser-grained format for it; ``types`` in the answer says which.

    Returns
    -------
    dict
        Settings of the engine: ``engine``, ``file``, ``quantisation``, ``size_bytes``, ``context_tokens``,
        ``vocab_size``, ``tokenizer`` (the name of its pre-tokenizer in llama.cpp, or ``None``), and ``types``:
        for each format in the file its ``tensors``, ``parameters`` and ``bytes``.

    Raises
    ------
    ConfigError
        If there is no such format, or llama.cpp could not compute what the model does.
    MissingDependencyError
        Without ``gguf``, or for a format that needs llama.cpp without ``llama-cpp-python``.
    """
    if quantisation not in QUANTISATIONS:
        raise ConfigError(
            f"quantisation must be one of {', '.join(QUANTISATIONS)}",
            given=f"quantisation = {quantisation!r}",
        )
    described = gguf_model(model)
    vocabulary = gguf_vocabulary(tokeniser, described.vocab_size, end_id)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / _FILE
    if quantisation in _OWN_FORMATS:
        _write(path, described, vocabulary, quantisation)
    else:
        whole = folder / f"{_FILE}.f32"
        try:
            _write(whole, described, vocabulary, "f32")
            quantise(whole, path, quantisation)
        finally:
            whole.unlink(missing_ok=True)
    return {
        "engine": "gguf",
        "file": _FILE,
        "quantisation": quantisation,
        "size_bytes": path.stat().st_size,
        "context_tokens": described.context_tokens,
        "vocab_size": described.vocab_size,
        "tokenizer": vocabulary.pre_tokenizer,
        "types": tensor_types(path),
    }


def tensor_types(path: Path) -> dict[str, dict[str, int]]:
    """Formats in a GGUF file, by name: how many ``tensors``, their ``parameters`` and ``bytes``."""
    reader = _gguf().GGUFReader(path)
    found: dict[str, dict[str, int]] = {}
    for tensor in reader.tensors:
        entry = found.setdefault(tensor.tensor_type.name, {"tensors": 0, "parameters": 0, "bytes": 0})
        entry["tensors"] += 1
        entry["parameters"] += int(tensor.n_elements)
        entry["bytes"] += int(tensor.n_bytes)
    return dict(sorted(found.items()))


def _write(path: Path, model: GgufModel, vocabulary: GgufVocabulary, quantisation: str) -> None:
    """Write weights one at a time, so that no second copy of the model is in memory."""
    gguf = _gguf()
    writer = gguf.GGUFWriter(path, model.architecture)
    try:
        _add_keys(writer, model.keys)
        file_types = {"f32": "ALL_F32", "f16": "MOSTLY_F16", "q8_0": "MOSTLY_Q8_0"}
        writer.add_file_type(getattr(gguf.LlamaFileType, file_types[quantisation]))
        writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
        _add_keys(writer, vocabulary.keys)
        for name, shape in model.shapes.items():
            kind = _type_of(shape, quantisation)
            block, block_bytes = gguf.GGML_QUANT_SIZES[kind]
            size_bytes = int(np.prod(shape)) // block * block_bytes
            writer.add_tensor_info(name, shape, np.dtype(np.float32), size_bytes, raw_dtype=kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for name, shape in model.shapes.items():
            kind = _type_of(shape, quantisation)
            writer.write_tensor_data(gguf.quants.quantize(_checked(model, name, kind), kind))
    finally:
        writer.close()


def _checked(model: GgufModel, name: str, kind: Any) -> np.ndarray[Any, np.dtype[np.float32]]:
    values = model.read(name)
    largest = float(np.abs(values).max(initial=0.0))
    # 65504 is the largest finite half; also false for a largest that is no number.
    most = float(np.finfo(np.float16).max) if kind.name == "F16" else float(np.finfo(np.float32).max)
    if not largest <= most:
        raise ConfigError(
            f"a weight is no number or too large for {kind.name.lower()}",
            given=f"{name}: largest magnitude {largest}",
            todo="write f32 or q8_0, or look whether training diverged",
        )
    return values


def _type_of(shape: tuple[int, ...], quantisation: str) -> Any:
    """Vectors (norms, biases) stay float32, as llama.cpp computes with them."""
    types = _gguf().GGMLQuantizationType
    if len(shape) == 1 or quantisation == "f32":
        return types.F32
    if quantisation == "q8_0" and shape[-1] % _gguf().GGML_QUANT_SIZES[types.Q8_0][0] == 0:
        return types.Q8_0
    return types.F16


def _add_keys(writer: Any, keys: Mapping[str, Any]) -> None:
    for key, value in keys.items():
        if isinstance(value, bool):
            writer.add_bool(key, value)
        elif isinstance(value, int):
            writer.add_uint32(key, value)
        elif isinstance(value, float):
            writer.add_float32(key, value)
        elif isinstance(value, str):
            writer.add_string(key, value)
        else:
            writer.add_array(key, value)


def _gguf() -> Any:
    try:
        import gguf
        import gguf.quants
    except ImportError as error:
        raise MissingDependencyError.of("gguf", "gguf") from error
    return gguf
