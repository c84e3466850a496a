"""Names of kinds of request: the first words of the instructions, and a hash of what makes the kind.

The hash keeps names apart and makes them the same in every run; the words are for people. Names are fit to be
names of tasks: letters, digits, ``-`` and ``_``.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from understudy.calls.known_request import Message

__all__ = ["kind_names"]

_SLUG_CHARS = 20
_SENTENCE = re.compile(r"(?<=[.!?。！？])\s+|\n+")
_ROLE = re.compile(
    r"(?:you are|you're|you work (?:as|at|for|in)|act as|you will act as)\s+(?:an?\s+|the\s+)?", re.IGNORECASE
)
_LEAD = re.compile(
    r"(?:your (?:task|job) is to|you (?:will|must|should|have to|need to)|please)\s+", re.IGNORECASE
)
_LOOSE_ENDS = frozenset("a an and as at by for from if in into is of on or that the to with".split())
_HASH_DIGITS, _MORE_DIGITS = 4, 12

_Identity = tuple[tuple[str, ...], str | None, tuple[Message, ...], str]


def kind_names(identities: Sequence[_Identity]) -> list[str]:
    """A name for each: system texts, form of answer, example turns, beginning of the user message."""
    slugs = [_slug(one) for one in identities]
    hashes = [_hash(one) for one in identities]
    names = [f"{slug}-{digest[:_HASH_DIGITS]}" for slug, digest in zip(slugs, hashes, strict=True)]
    counts = Counter(names)
    # One in 65,536 pairs with the same words.
    return [
        name if counts[name] == 1 else f"{slug}-{digest[:_MORE_DIGITS]}"
        for name, slug, digest in zip(names, slugs, hashes, strict=True)
    ]


def _hash(identity: _Identity) -> str:
    text = json.dumps(identity, ensure_ascii=False)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _slug(identity: _Identity) -> str:
    system, output_format, turns, beginning = identity
    # A beginning that tells kinds apart says more than the system message that they share.
    for text in (beginning, *system):
        if words := _first_words(text):
            return words
    if output_format is not None:
        return _words(" ".join(_names_in(json.loads(output_format)))) or "json"
    return _first_words(turns[0][1]) if turns else "requests"


def _first_words(text: str) -> str:
    """The first words that say what to do: "You are a helpful assistant." says nothing if more follows."""
    sentences = [one for one in _SENTENCE.split(text.strip()) if one.strip()]
    telling = [one for one in sentences if not _ROLE.match(one)]
    if telling:
        return _words(_LEAD.sub("", telling[0], count=1) if _LEAD.match(telling[0]) else telling[0])
    return _words(_ROLE.sub("", sentences[0], count=1) if sentences else "")


def _words(text: str) -> str:
    kept: list[str] = []
    for word in re.findall(r"[^\W_]+", text.lower()):
        if len("-".join([*kept, word])) > _SLUG_CHARS:
            kept = kept or [word[:_SLUG_CHARS]]
            break
        kept.append(word)
    while len(kept) > 1 and kept[-1] in _LOOSE_ENDS:
        kept.pop()
    return "-".join(kept)


def _names_in(asked: dict[str, Any]) -> list[str]:
    """Names of tools, or of the properties of the answer."""
    if tools := asked.get("tools"):
        return [str(tool.get("name") or "tool") for tool in tools]
    schema = asked.get("format", {}).get("schema")
    properties = schema.get("properties") if isinstance(schema, dict) else None
    return ["json", *(properties if isinstance(properties, dict) else ())]
