"""Finds the base of a writing student by hub id or folder, checks that it can be trained and exported, and keeps where
it comes from.

Its counterpart for encoders is :mod:`understudy.training.base_encoder`. Does not know whether a base is any good:
that is for the certificate to find out.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer, PreTrainedModel

from understudy.errors import ConfigError, UnderstudyError
from understudy.lm.decoder import quiet_transformers
from understudy.runtime.writing import WriteFormat

__all__ = ["CAUSAL_TYPES", "SEQ2SEQ_TYPES", "BaseModel", "resolve_base_model"]

CAUSAL_TYPES = ("llama", "mistral", "qwen2", "qwen3")
SEQ2SEQ_TYPES = ("t5",)
_HUB_FILES = ["*.json", "*.safetensors", "*.jinja", "tokenizer.model", "README.md"]
_INPUT = "UNDERSTUDY-INPUT-7f3a"


@dataclass(frozen=True, slots=True)
class BaseModel:
    """A base on this machine.

    Attributes
    ----------
    name
        As asked for: a hub id or a folder.
    folder
        Where its files lie.
    source, revision
        ``folder`` or ``hub``; the hub's commit, or ``None``.
    licence
        As its README's front matter says, or ``None``.
    weights_sha256
        Over its weight files, in the order of their names.
    config
        Hugging Face ``config.json``.
    """

    name: str
    folder: Path
    source: str
    revision: str | None
    licence: str | None
    weights_sha256: str
    config: dict[str, Any]

    @property
    def is_seq2seq(self) -> bool:
        """Whether an encoder reads the prompt."""
        return self.config["model_type"] in SEQ2SEQ_TYPES

    @property
    def context_tokens(self) -> int | None:
        """Longest sequence; ``None`` where positions are relative."""
        found = self.config.get("max_position_embeddings")
        return None if found is None or self.is_seq2seq else int(found)

    def provenance(self) -> dict[str, Any]:
        """What a manifest should say of where the weights come from."""
        return {
            "name": self.name,
            "source": self.source,
            "revision": self.revision,
            "licence": self.licence,
            "weights_sha256": self.weights_sha256,
            "model_type": self.config["model_type"],
        }

    def load(self, **words: Any) -> PreTrainedModel:
        """Load the model, as float32 unless `words` say otherwise.

        Raises
        ------
        ConfigError
            If its weights cannot be read.
        UnderstudyError
            If memory does not suffice.
        """
        kind = AutoModelForSeq2SeqLM if self.is_seq2seq else AutoModelForCausalLM
        try:
            with quiet_transformers():
                return kind.from_pretrained(
                    self.folder, local_files_only=True, **({"dtype": torch.float32} | words)
                )
        except (torch.OutOfMemoryError, MemoryError) as error:
            raise UnderstudyError(
                f"there is not enough memory to load the base {self.name!r}",
                given=str(error).splitlines()[0] if str(error) else None,
                todo="take a smaller base, or tuning = qlora on a GPU",
            ) from error
        except Exception as error:  # safetensors, JSON and transformers raise what they like
            raise ConfigError(
                f"the weights of the base {self.name!r} cannot be read", given=f"{self.folder}: {error}"
            ) from error

    def tokeniser(self) -> Any:
        """Its tokenizer, as transformers has it.

        Raises
        ------
        ConfigError
            If there is none of the fast kind, it has no token that ends a text, or it has tokens for which the
            model has no embedding.
        """
        try:
            with quiet_transformers():
                found = AutoTokenizer.from_pretrained(self.folder, local_files_only=True)
        except Exception as error:  # transformers raises what it likes
            raise ConfigError(
                f"the base {self.name!r} has no tokenizer that can be read",
                given=f"{self.folder}: {error}",
                todo="its folder needs tokenizer.json and tokenizer_config.json",
            ) from error
        if not found.is_fast:
            raise ConfigError(
                f"the tokenizer of the base {self.name!r} is of the slow kind",
                given=type(found).__name__,
                todo="take a base with tokenizer.json: what serves reads only that",
            )
        if found.eos_token_id is None:
            raise ConfigError(
                f"the tokenizer of the base {self.name!r} has no token that ends a text",
                todo="set eos_token in its tokenizer_config.json",
            )
        largest = max(found.get_vocab().values())
        if largest >= int(self.config["vocab_size"]):
            raise ConfigError(
                f"the tokenizer of the base {self.name!r} has tokens that the model does not know",
                given=f"largest id {largest:,}, vocab_size = {self.config['vocab_size']:,}",
                todo="take the tokenizer that the model was trained with, or enlarge the model's embedding",
            )
        return found

    def end_ids(self, tokeniser: Any) -> tuple[int, ...]:
        """Ids that end an answer: the tokenizer's own first, which training uses, then those that the base adds."""
        side = self.folder / "generation_config.json"
        more = _read_json(side).get("eos_token_id") if side.is_file() else None
        listed = more if isinstance(more, list) else [] if more is None else [more]
        return tuple(dict.fromkeys([int(tokeniser.eos_token_id), *map(int, listed)]))

    def format(self, tokeniser: Any, *, instructions: str | None, is_plain: bool) -> WriteFormat:
        """Words around an input: the base's chat template, rendered once around a placeholder, else instructions and
        a blank line.
        """
        told = f"{instructions}\n\n" if instructions else ""
        if self.is_seq2seq:
            return WriteFormat(told, "\n", tokeniser.eos_token, is_plain)
        if tokeniser.chat_template is None:
            begins = tokeniser.bos_token if _adds_bos(tokeniser) else ""
            return WriteFormat(begins + told, "\n", "\n\n", is_plain)
        rendered = _render(tokeniser, instructions)
        before, found, after = rendered.partition(_INPUT)
        if not found:
            raise ConfigError(
                f"the chat template of the base {self.name!r} does not show what the user says",
                todo="remove chat_template from its tokenizer files to use it without",
            )
        return WriteFormat(before, "\n", after, is_plain)


def _adds_bos(tokeniser: Any) -> bool:
    ids = tokeniser("x").input_ids
    return tokeniser.bos_token_id is not None and bool(ids) and ids[0] == tokeniser.bos_token_id


def _render(tokeniser: Any, instructions: str | None) -> str:
    """Render the template; where it knows no system role, the instructions go before what the user says."""
    user = {"role": "user", "content": _INPUT}
    words = {"tokenize": False, "add_generation_prompt": True, "enable_thinking": False}
    if instructions:
        try:
            system = {"role": "system", "content": instructions}
            return str(tokeniser.apply_chat_template([system, user], **words))
        except Exception:  # a template may raise anything; jinja's errors are its own
            user["content"] = f"{instructions}\n\n{_INPUT}"
    return str(tokeniser.apply_chat_template([user], **words))


def resolve_base_model(name: str) -> BaseModel:
    """Find the base `name`: a folder as it is, else the Hugging Face hub or its local cache.

    Raises
    ------
    ConfigError
        If it cannot be found, is of a kind that cannot be exported, or lacks safetensors weights.
    """
    here = Path(name).expanduser()
    if (here / "config.json").is_file():
        return _read(name, here, "folder", None)
    if here.is_dir():
        raise ConfigError(
            "this folder holds no language model",
            given=str(here),
            todo="it needs config.json, tokenizer.json and weights as safetensors",
        )
    folder = _from_hub(name)
    # snapshots/<commit>: the hub's cache names the folder after the revision.
    return _read(name, folder, "hub", folder.name)


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=_HUB_FILES))
    except Exception as error:  # offline, unknown id, private: the library raises many kinds
        raise ConfigError(
            f"the base {name!r} cannot be loaded from the Hugging Face hub",
            given=f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
            todo="check the id and the network, or name a local folder; without a base the writer is trained from "
            "scratch",
        ) from error


def _read(name: str, folder: Path, source: str, revision: str | None) -> BaseModel:
    config = _read_json(folder / "config.json")
    kind = config.get("model_type")
    if kind not in (*CAUSAL_TYPES, *SEQ2SEQ_TYPES):
        raise ConfigError(
            f"the base {name!r} is of a type that cannot be a writer",
            given=f"model_type = {kind}",
            todo=f"take one of type {', '.join(CAUSAL_TYPES)}, or {', '.join(SEQ2SEQ_TYPES)}",
        )
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise ConfigError(
            f"the base {name!r} has no weights as safetensors",
            given=str(folder),
            todo="convert them: model.save_pretrained(folder) of a recent transformers writes safetensors",
        )
    return BaseModel(
        name=name,
        folder=folder,
        source=source,
        revision=revision,
        licence=_licence(folder / "README.md"),
        weights_sha256=_sha256(weights),
        config=config,
    )


def _licence(readme: Path) -> str | None:
    if not readme.is_file():
        return None
    text = readme.read_text(encoding="utf-8", errors="replace")
    front = re.match(r"---\n(.*?)\n---", text, flags=re.DOTALL)
    found = re.search(r"^license:\s*(\S+)", front[1], flags=re.MULTILINE) if front else None
    return found[1] if found else None


def _sha256(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _read_json(path: Path) -> dict[str, Any]:
    try:
        given: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError("a file of the base cannot be read", given=f"{path}: {error}") from error
    return given
