"""Token shards on disk: written as texts stream by, read through memory maps.

A shard is a file of little-endian unsigned integers, 2 bytes a token (4 where the vocabulary needs it). Texts
stand one after the other, each closed by the end token, and may go on in the next shard. The index
``shards.json`` is renamed into place last: a folder without it is unfinished and is written anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from understudy.errors import ArtefactError, ConfigError, DataError
from understudy.lm.tokeniser import END, end_id

__all__ = ["TokenShards", "write_shards"]

_INDEX = "shards.json"
_TEXTS_AT_ONCE = 32
Tokens = npt.NDArray[np.int64]


def write_shards(
    texts: Iterable[str],
    tokeniser: Tokenizer,
    folder: Path,
    *,
    end: str = END,
    max_tokens: int | None = None,
    shard_tokens: int = 1 << 24,
) -> TokenShards:
    """Encode texts one after the other and write shards of `shard_tokens` tokens.

    Parameters
    ----------
    texts
        Read as far as needed, a few at a time: memory does not grow with them.
    tokeniser, end
        The token `end` closes each text.
    folder
        Made where missing; shards of an unfinished earlier run are written over.
    max_tokens
        Stop after so many tokens (the last text is cut there); ``None`` takes all texts.
    shard_tokens
        Tokens per file.

    Raises
    ------
    ConfigError
        If `max_tokens` or `shard_tokens` is not above 0.
    DataError
        If there is no text.
    """
    for field, value in (("max_tokens", max_tokens), ("shard_tokens", shard_tokens)):
        if value is not None and value <= 0:
            raise ConfigError(f"{field} must be above 0", given=f"{field} = {value}")
    folder.mkdir(parents=True, exist_ok=True)
    dtype = "<u2" if tokeniser.get_vocab_size() <= 1 << 16 else "<u4"
    shards: list[dict[str, int | str]] = []
    for number, tokens in enumerate(_runs(_encoded(texts, tokeniser, end), shard_tokens, max_tokens)):
        data = tokens.astype(dtype).tobytes()
        name = f"shard-{number:05d}.bin"
        (folder / name).write_bytes(data)
        shards.append({"name": name, "tokens": len(tokens), "sha256": hashlib.sha256(data).hexdigest()})
    if not shards:
        raise DataError("there is no text to make shards of")
    index = {"dtype": dtype, "end_id": end_id(tokeniser, end), "shards": shards}
    half = folder / f"{_INDEX}.part"
    half.write_text(json.dumps(index, indent=1), encoding="utf-8")
    half.replace(folder / _INDEX)
    return TokenShards(folder)


def _encoded(texts: Iterable[str], tokeniser: Tokenizer, end: str) -> Iterator[Tokens]:
    last, stream = end_id(tokeniser, end), iter(texts)
    while some := list(islice(stream, _TEXTS_AT_ONCE)):
        for encoding in tokeniser.encode_batch_fast(some, add_special_tokens=False):
            yield np.asarray([*encoding.ids, last], np.int64)


def _runs(documents: Iterator[Tokens], size: int, limit: int | None) -> Iterator[Tokens]:
    """Cut a stream of documents into runs of `size` tokens, the last one shorter."""
    held: list[Tokens] = []
    n_held = n_done = 0
    for document in documents:
        rest = document if limit is None else document[: limit - n_done - n_held]
        while n_held + len(rest) >= size:
            cut = size - n_held
            yield np.concatenate([*held, rest[:cut]])
            n_done += size
            held, n_held, rest = [], 0, rest[cut:]
        if len(rest):
            held.append(rest)
            n_held += len(rest)
        if limit is not None and n_done + n_held >= limit:
            break
    if held:
        yield np.concatenate(held)


class TokenShards:
    """Shards on disk as one long row of tokens.

    Parameters
    ----------
    folder
        What :func:`write_shards` wrote.

    Attributes
    ----------
    end_id, n_tokens
        The token that closes a text; all tokens.
    fingerprint
        Changes with any token: SHA-256 over the shards' own.

    Raises
    ------
    ArtefactError
        If the index cannot be read, or a shard is missing or has another size than it says.
    """

    def __init__(self, folder: Path) -> None:
        try:
            index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
            self.end_id = int(index["end_id"])
            self._maps: list[npt.NDArray[np.unsignedinteger]] = []
            for shard in index["shards"]:
                one = np.memmap(folder / shard["name"], dtype=index["dtype"], mode="r")
                if len(one) != shard["tokens"]:
                    raise ValueError(f"{shard['name']} has {len(one)} tokens, not {shard['tokens']}")
                self._maps.append(one)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ArtefactError(
                "token shards cannot be read", given=f"{folder}: {error}", todo="delete the folder"
            ) from error
        self._starts = np.concatenate([[0], np.cumsum([len(one) for one in self._maps])])
        self.n_tokens = int(self._starts[-1])
        hashes = "".join(shard["sha256"] for shard in index["shards"])
        self.fingerprint = hashlib.sha256(hashes.encode()).hexdigest()

    @staticmethod
    def are_at(folder: Path) -> bool:
        """Whether finished shards lie in `folder`."""
        return (folder / _INDEX).is_file()

    def read(self, begin: int, end: int) -> Tokens:
        """Tokens `begin` to `end` (0 <= begin <= end <= n_tokens), across shards."""
        assert 0 <= begin <= end <= self.n_tokens
        parts = [
            one[max(begin - start, 0) : max(end - start, 0)]
            for one, start in zip(self._maps, self._starts[:-1], strict=True)
            if start < end and start + len(one) > begin
        ]
        return np.concatenate([*parts, np.zeros(0, np.int64)]).astype(np.int64)
