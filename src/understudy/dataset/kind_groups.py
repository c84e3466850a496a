"""Groups requests by system messages and the form of answer asked for, and keeps a sample of each group.

A sample is the requests with the smallest hashes, equal ones once: neither the order of a log nor calls that recur
change it. Memory is bounded by the constants below, whatever a log holds.
"""

from __future__ import annotations

import hashlib
import heapq
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from understudy.calls.changing import steady
from understudy.calls.chat import ChatExchange
from understudy.calls.known_request import Message, count_system
from understudy.calls.template import SAMPLE_CALLS
from understudy.dataset.beginnings import unix_lines

__all__ = ["MAX_GROUPS", "Group", "GroupKey", "Groups", "Sample", "group_digest", "system_key"]

MAX_GROUPS = 1_000
"""Groups kept; when there are more, those with the fewest calls so far are given up."""
BARE_SAMPLE = 16 * SAMPLE_CALLS
"""Requests kept of those with neither system message nor form of answer, among which kinds are yet to be told."""
MAX_SAMPLE_CHARS = 64_000_000
"""Characters of all samples; beyond, every sample is halved, down to MIN_SAMPLE."""
MIN_SAMPLE = 32

GroupKey = tuple[tuple[str, ...], str | None]


@dataclass(slots=True)
class Sample:
    """The requests with the smallest hashes among those offered; equal ones count once."""

    most: int
    kept: dict[int, tuple[Message, ...]] = field(default_factory=dict)
    heap: list[int] = field(default_factory=list)
    n_chars: int = 0

    def offer(self, key: int, request: tuple[Message, ...]) -> None:
        """Keep a request if its hash is among the smallest."""
        if key in self.kept or (len(self.heap) >= self.most and key >= -self.heap[0]):
            return
        self.kept[key] = request
        self.n_chars += _length(request)
        heapq.heappush(self.heap, -key)
        self.shrink(self.most)

    def shrink(self, most: int) -> None:
        """Keep no more than `most`."""
        self.most = most
        while len(self.heap) > most:
            self.n_chars -= _length(self.kept.pop(-heapq.heappop(self.heap)))

    def requests(self) -> list[tuple[Message, ...]]:
        """What was kept, in the order of the hashes."""
        return [self.kept[key] for key in sorted(self.kept)]


def _length(request: Iterable[Message]) -> int:
    return sum(len(text) for _, text in request)


@dataclass(slots=True)
class Group:
    """Requests of the same system messages and form of answer: a count and a sample."""

    key: GroupKey
    sample: Sample
    n_calls: int = 0

    @property
    def is_bare(self) -> bool:
        """Whether there is neither a system message nor a form of answer."""
        return self.key == ((), None)


class Groups:
    """All groups of a log, filled by :meth:`add`."""

    def __init__(self) -> None:
        self.by_digest: dict[bytes, Group] = {}
        self.heads: dict[tuple[Message, ...], tuple[Message, ...]] = {}
        self.shrunk = 1
        self.n_chars = 0

    def add(self, exchange: ChatExchange) -> None:
        """Count a request and offer it to its group's sample."""
        messages = exchange.messages
        head = count_system(messages)
        key = (system_key(messages[:head]), exchange.output_format)
        digest = group_digest(key)
        group = self.by_digest.get(digest)
        if group is None:
            if len(self.by_digest) >= MAX_GROUPS:
                self._give_up_small_groups()
            group = self.by_digest[digest] = Group(key, Sample(self._most(is_bare=key == ((), None))))
        group.n_calls += 1
        before = group.sample.n_chars
        group.sample.offer(_request_hash(messages), self._shared(messages, head))
        self.n_chars += group.sample.n_chars - before
        if self.n_chars > MAX_SAMPLE_CHARS and self.shrunk < SAMPLE_CALLS // MIN_SAMPLE:
            self.shrunk *= 2
            for one in self.by_digest.values():
                one.sample.shrink(self._most(is_bare=one.is_bare))
            self.n_chars = sum(one.sample.n_chars for one in self.by_digest.values())

    def _most(self, *, is_bare: bool) -> int:
        return (BARE_SAMPLE if is_bare else SAMPLE_CALLS) // self.shrunk

    def _shared(self, messages: tuple[Message, ...], head: int) -> tuple[Message, ...]:
        """The same request with one copy of each system message, however many requests bring it."""
        system = messages[:head]
        if len(self.heads) > MAX_GROUPS:
            self.heads.clear()
        return (*self.heads.setdefault(system, system), *messages[head:])

    def _give_up_small_groups(self) -> None:
        ranked = sorted(self.by_digest.items(), key=lambda item: (-item[1].n_calls, item[0]))
        self.by_digest = dict(ranked[: MAX_GROUPS // 2])
        self.n_chars = sum(group.sample.n_chars for group in self.by_digest.values())


@lru_cache(maxsize=1_024)
def system_key(messages: tuple[Message, ...]) -> tuple[str, ...]:
    """Texts of system messages in the form in which they are compared."""
    return tuple(steady(unix_lines(text).strip()) for _, text in messages)


@lru_cache(maxsize=1_024)
def group_digest(key: GroupKey) -> bytes:
    """Sixteen bytes that stand for a group."""
    text = json.dumps(key, ensure_ascii=False)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _request_hash(messages: Sequence[Message]) -> int:
    digest = hashlib.blake2b(digest_size=8)
    for role, text in messages:
        digest.update(f"{role}\x1f{text}\x1e".encode("utf-8", "surrogatepass"))
    return int.from_bytes(digest.digest(), "big")
