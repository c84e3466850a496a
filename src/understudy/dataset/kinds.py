"""Finds the kinds of request that a mixed log holds: the same instructions, asked over and over with other inputs.

Requests are grouped by system messages and the form of answer asked for, then divided where a group holds several
sets of example turns or beginnings of the user message (``beginnings``). Requests that none of these tells apart,
such as a person's chat, belong to no kind. Within a kind the template is found as for a log of one kind.

One pass, memory bounded: at most MAX_GROUPS groups, of each a sample of different requests and a counter. The
sample is the SAMPLE_CALLS requests with the smallest hashes, so neither the order of a log nor calls that recur
change it, and with it what kinds are found and what they are called.

It does not know prices or answers: see ``survey``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from understudy.calls.call import Call
from understudy.calls.exchanges import Identified, with_unique_ids
from understudy.calls.known_request import Message, count_system
from understudy.calls.report import ReadReport
from understudy.calls.template import RequestTemplate, find_template
from understudy.dataset.beginnings import (
    divide_by_beginning,
    divide_by_turns,
    find_beginnings,
    unix_lines,
)
from understudy.dataset.kind_groups import Group, Groups, group_digest, system_key
from understudy.dataset.kind_names import kind_names
from understudy.errors import ConfigError

__all__ = ["OTHER_KINDS", "RequestKind", "RequestKinds", "calls_of_kind", "find_kinds"]

MIN_DIFFERENT, MIN_CALLS = 5, 20
"""A kind has so many different requests, or so many calls: fewer do not repeat anything."""

OTHER_KINDS = "calls of other request kinds (left out)"
"""The note of a report that counts them."""

_Turns = tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class RequestKind:
    """One kind of request.

    Attributes
    ----------
    name
        As printed, and as ``--request-kind`` takes it.
    system
        Texts of the system messages, dates, times and UUIDs replaced by ``<...>``.
    output_format
        Canonical form of the answer asked for; ``None`` for plain text.
    turns, beginning
        Example turns and the beginning of the user message, where these tell the kind from others.
    template
        Cuts the input out of a request.
    n_seen
        Requests of its group when the log was searched.
    """

    name: str
    system: tuple[str, ...]
    output_format: str | None
    turns: _Turns
    beginning: str
    template: RequestTemplate
    n_seen: int

    @property
    def instructions(self) -> str:
        """What a person would call the instructions."""
        around = f"{self.template.prefix}{{input}}{self.template.suffix}"
        return "\n".join([*self.system, *([around] if around != "{input}" else [])])


class RequestKinds:
    """The kinds of a log, and which of them a request is.

    Parameters
    ----------
    kinds
        In any order.
    """

    def __init__(self, kinds: Iterable[RequestKind]) -> None:
        self.kinds = tuple(sorted(kinds, key=lambda kind: kind.name))
        self._by_group: dict[bytes, list[RequestKind]] = {}
        for kind in self.kinds:
            self._by_group.setdefault(group_digest((kind.system, kind.output_format)), []).append(kind)
        for members in self._by_group.values():
            # What says more is tried first.
            members.sort(key=lambda kind: (-len(kind.turns), -len(kind.beginning), kind.name))

    def kind_of(self, messages: Sequence[Message], output_format: str | None) -> RequestKind | None:
        """The kind of a request (up to and with its last user message), or ``None``."""
        head = count_system(messages)
        group = self._by_group.get(group_digest((system_key(tuple(messages[:head])), output_format)))
        if group is None:
            return None
        turns, user = tuple(messages[head:-1]), unix_lines(messages[-1][1])
        for kind in group:
            if turns[: len(kind.turns)] == kind.turns and user.startswith(kind.beginning):
                return kind
        return None

    def named(self, name: str) -> RequestKind:
        """The kind of that name.

        Raises
        ------
        ConfigError
            If there is none.
        """
        for kind in self.kinds:
            if kind.name == name:
                return kind
        known = [kind.name for kind in sorted(self.kinds, key=lambda kind: (-kind.n_seen, kind.name))]
        more = f" and {len(known) - 10:,} more" if len(known) > 10 else ""
        raise ConfigError(
            "the log has no requests of this kind",
            given=f"{name!r}; the log has {', '.join(known[:10]) or 'none'}{more}",
            todo="take a name that `understudy tasks` prints for the same log",
        )


def find_kinds(
    exchanges: Iterable[Identified], progress: Callable[[str, float | None], None] | None = None
) -> RequestKinds:
    """The kinds of request in a stream of exchanges.

    Returns
    -------
    RequestKinds
        The same for the same set of requests, in whatever order and however often each comes (exactly so up to
        MAX_GROUPS groups and MAX_SAMPLE_CHARS characters of samples).
    """
    groups = Groups()
    for row, (_, exchange) in enumerate(exchanges, 1):
        groups.add(exchange)
        if progress is not None and row % 5_000 == 0:
            progress(f"finding kinds of request ({row:,})", None)
    found = [kind for group in groups.by_digest.values() for kind in _divided(group)]
    named = kind_names([_identity(kind) for kind in found])
    return RequestKinds(
        RequestKind(name, *_identity(kind), kind.template, kind.n_seen)
        for name, kind in zip(named, found, strict=True)
    )


def _identity(kind: RequestKind) -> tuple[tuple[str, ...], str | None, _Turns, str]:
    return kind.system, kind.output_format, kind.turns, kind.beginning


def _divided(group: Group) -> Iterator[RequestKind]:
    requests = group.sample.requests()
    n_head = len(group.key[0])
    paths = divide_by_turns([request[n_head:-1] for request in requests])
    if len(paths) == 1 and not group.is_bare:
        paths = [()]  # Examples that all share need not tell anything apart.
    taken: set[int] = set()
    for turns in sorted({*paths, ()}, key=lambda path: (-len(path), path)):
        members = [
            request
            for request in requests
            if id(request) not in taken and request[n_head : n_head + len(turns)] == turns
        ]
        taken |= {id(request) for request in members}
        yield from _by_beginning(group, turns, members, len(requests))


def _by_beginning(
    group: Group, turns: _Turns, members: list[tuple[Message, ...]], n_all: int
) -> Iterator[RequestKind]:
    users = {id(request): unix_lines(request[-1][1]) for request in members}
    is_other = group.is_bare and not turns
    texts = sorted(set(users.values()))
    beginnings = find_beginnings(texts) if is_other else [*divide_by_beginning(texts), ""]
    left = members
    for beginning in sorted(beginnings, key=lambda text: (-len(text), text)):
        own = [request for request in left if users[id(request)].startswith(beginning)]
        if not own:
            continue
        left = [request for request in left if not users[id(request)].startswith(beginning)]
        n_seen = max(1, round(group.n_calls * len(own) / n_all))
        if len(own) >= MIN_DIFFERENT or n_seen >= MIN_CALLS:
            yield RequestKind("", *group.key, turns, beginning, find_template(own), n_seen)


def calls_of_kind(
    exchanges: Iterable[Identified], kinds: RequestKinds, name: str, report: ReadReport
) -> Iterator[Call]:
    """The calls of one kind, as ``read_calls`` would give them for a log that holds no others.

    Parameters
    ----------
    exchanges
        The log.
    kinds, name
        What :func:`find_kinds` found in it, and which one.
    report
        Filled while reading; calls of other kinds are counted in its notes.

    Raises
    ------
    ConfigError
        If there is no such kind.
    """
    wanted = kinds.named(name)
    return with_unique_ids(_cut(exchanges, kinds, wanted, report), report)


def _cut(
    exchanges: Iterable[Identified], kinds: RequestKinds, wanted: RequestKind, report: ReadReport
) -> Iterator[Call]:
    for identity, exchange in exchanges:
        if kinds.kind_of(exchange.messages, exchange.output_format) is not wanted:
            report.notes[OTHER_KINDS] += 1
            continue
        text, known, fits = wanted.template.cut(exchange.messages, exchange.output_format)
        fixed = report.see_template(known.to_text())
        if not fits:
            report.notes["requests that do not fit the common template (whole message kept)"] += 1
        yield Call(
            id=identity,
            input=text,
            output=exchange.output,
            votes=exchange.votes,
            label_probabilities=exchange.label_probabilities,
            messages_template=fixed,
            **exchange.facts,
        )
