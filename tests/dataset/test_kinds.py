"""Kinds of request in mixed logs: which are found, what they are called, what is kept in memory."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from mixed_log import mixed_records, record, write_log
from understudy.calls.exchanges import read_exchanges
from understudy.calls.report import ReadReport
from understudy.calls.template import SAMPLE_CALLS
from understudy.dataset import kind_groups
from understudy.dataset.beginnings import MIN_SHARED
from understudy.dataset.kind_groups import Groups, Sample
from understudy.dataset.kind_names import kind_names
from understudy.dataset.kinds import OTHER_KINDS, RequestKinds, calls_of_kind, find_kinds
from understudy.errors import ConfigError


def kinds_of(folder: Path, records: list[dict[str, Any]]) -> RequestKinds:
    return find_kinds(read_exchanges([write_log(folder / "log.jsonl", records)]))


def counts_of(folder: Path, records: list[dict[str, Any]]) -> dict[str, int]:
    """Calls per kind, by name; ``other`` for those of none."""
    kinds = kinds_of(folder, records)
    found: Counter[str] = Counter()
    for _, exchange in read_exchanges([folder / "log.jsonl"]):
        kind = kinds.kind_of(exchange.messages, exchange.output_format)
        found["other" if kind is None else kind.name] += 1
    return dict(found)


def words(count: int, seed: int) -> str:
    draw = random.Random(seed)
    return " ".join("".join(draw.choices("abcdefgh", k=5)) for _ in range(count))


def test_three_templates_and_noise(tmp_path: Path) -> None:
    counts = counts_of(tmp_path, mixed_records(600))
    names = sorted(name.rsplit("-", 1)[0] for name in counts if name != "other")
    assert names == ["extract-the-order", "is-the-review", "name-the-queue"]
    asked = Counter(
        "other" if one["request"]["messages"][0]["content"][:1].isdigit() else "kind"
        for one in mixed_records(600)
    )
    assert counts["other"] == asked["other"]


def test_the_template_of_each_kind_cuts_its_input(tmp_path: Path) -> None:
    kinds = kinds_of(tmp_path, mixed_records(600))
    cuts = {kind.name.rsplit("-", 1)[0]: (kind.template.prefix, kind.template.suffix) for kind in kinds.kinds}
    assert cuts == {
        "extract-the-order": ("", ""),
        "name-the-queue": ("Message: ", ""),
        "is-the-review": ("Is the review positive? Say positive or negative.\nReview: ", "\n\nAnswer:"),
    }


@pytest.mark.parametrize("seed", range(3))
def test_names_do_not_depend_on_order_or_on_how_often_a_call_comes(tmp_path: Path, seed: int) -> None:
    records = mixed_records(1500, seed)
    first = kinds_of(tmp_path, records)
    random.Random(seed).shuffle(records)
    for again in (records, records * 2):
        found = kinds_of(tmp_path, again)
        assert [kind.name for kind in found.kinds] == [kind.name for kind in first.kinds]
        assert [kind.template for kind in found.kinds] == [kind.template for kind in first.kinds]


def test_names_stay_when_the_log_grows(tmp_path: Path) -> None:
    early = {kind.name for kind in kinds_of(tmp_path, mixed_records(300)).kinds}
    late = {kind.name for kind in kinds_of(tmp_path, mixed_records(3000, seed=5)).kinds}
    assert early == late
    assert len(early) == 3


def test_dates_in_instructions_do_not_make_kinds_but_other_numbers_do(tmp_path: Path) -> None:
    systems = [f"Today is 2026-01-0{day}, {day + 9}:30. Pick one of {many}." for day in range(1, 6) for many in (3, 4)]  # fmt: skip
    records = [record([("system", system), ("user", words(5, at))], "a")
               for at in range(20) for system in systems]  # fmt: skip
    counts = counts_of(tmp_path, records)
    assert sorted(counts.values()) == [100, 100]


def test_the_form_of_the_answer_makes_a_kind(tmp_path: Path) -> None:
    forms = [{}, {"response_format": {"type": "json_object"}},
             {"tools": [{"type": "function", "function": {"name": "book_room", "parameters": {}}}]}]  # fmt: skip
    records = [record([("user", words(6, 3 * at + n))], "{}", **form)
               for at in range(30) for n, form in enumerate(forms)]  # fmt: skip
    names = {name.rsplit("-", 1)[0]: count for name, count in counts_of(tmp_path, records).items()}
    assert names == {"book-room": 30, "json": 30, "other": 30}


def test_one_general_system_message_over_several_instructions(tmp_path: Path) -> None:
    starts = ["Translate the text into French: ", "Name the mood of the text.\nText: "]
    records = [
        record([("system", "You are a helpful assistant."), ("user", start + words(7, 2 * at + n))], "x")
        for at in range(60)
        for n, start in enumerate(starts)
    ]
    counts = counts_of(tmp_path, records)
    found = {name.rsplit("-", 1)[0]: count for name, count in counts.items()}
    assert found == {"translate-the-text": 60, "name-the-mood": 60}


def test_labels_inside_inputs_make_no_kinds(tmp_path: Path) -> None:
    channels = ["email", "chat", "phone"]
    for system in ([("system", "Route the message.")], []):
        records = [
            record([*system, ("user", f"Channel: {channels[at % 3]}\nText: {words(6, at)}")], "x")
            for at in range(300)
        ]
        assert list(counts_of(tmp_path, records).values()) == [300]


def test_sets_of_examples_make_kinds_and_conversations_do_not(tmp_path: Path) -> None:
    shots = {
        "en": [
            ("user", "good morning"),
            ("assistant", "greeting"),
            ("user", "bye"),
            ("assistant", "farewell"),
        ],
        "units": [("user", "two metres"), ("assistant", "2 m"), ("user", "one mile"), ("assistant", "1 mi")],
    }
    records = [
        record([("system", "Do as shown."), *shots[name], ("user", words(4, 2 * at + n))], "x")
        for at in range(40)
        for n, name in enumerate(shots)
    ]
    assert sorted(counts_of(tmp_path, records).values()) == [40, 40]
    talk = [
        record(
            [("system", "Be kind."), ("user", words(3, at)), ("assistant", words(3, -at)), ("user", words(3, at + 999))],
            "x",
        )
        for at in range(80)
    ]  # fmt: skip
    assert list(counts_of(tmp_path, talk).values()) == [80]
    bare = [record([*shots["en"], ("user", words(4, at))], "x") for at in range(40)]
    assert "other" not in counts_of(tmp_path, bare)


def test_a_beginning_needs_so_many_different_requests(tmp_path: Path) -> None:
    def asked(count: int) -> list[dict[str, Any]]:
        return [record([("user", f"Please sort this for me: {words(4, at)}")], "x") for at in range(count)]

    assert counts_of(tmp_path, asked(MIN_SHARED - 1)) == {"other": MIN_SHARED - 1}
    assert counts_of(tmp_path, asked(MIN_SHARED - 1) * 4) == {"other": 4 * (MIN_SHARED - 1)}
    assert "other" not in counts_of(tmp_path, asked(MIN_SHARED))


def test_a_beginning_without_line_or_colon(tmp_path: Path) -> None:
    records = [
        record([("user", f"Tell me in one word whether {words(4, at)} is rude")], "x") for at in range(50)
    ]
    assert [name.rsplit("-", 1)[0] for name in counts_of(tmp_path, records)] == ["tell-me-in-one-word"]


def test_instructions_in_other_scripts(tmp_path: Path) -> None:
    records = [
        record([("system", "请判断下面消息的情感。只回答一个词。"), ("user", words(4, at))], "x")
        for at in range(30)
    ]
    (name,) = counts_of(tmp_path, records)
    assert name.startswith("请判断下面消息的情感")


def test_the_calls_of_a_kind_are_those_of_a_log_without_the_others(tmp_path: Path) -> None:
    records = mixed_records(600)
    kinds = kinds_of(tmp_path, records)
    name = next(kind.name for kind in kinds.kinds if kind.name.startswith("name-the-queue"))
    report = ReadReport()
    log = tmp_path / "log.jsonl"
    calls = list(calls_of_kind(read_exchanges([log, log], report=report), kinds, name, report))
    assert report.n_calls == len(calls)
    assert report.notes[OTHER_KINDS] == 2 * len(records) - len(calls)
    assert len({call.id for call in calls}) == len(calls)
    assert not any("Message:" in str(call.input) for call in calls)
    assert {call.output for call in calls} == {"delivery", "billing", "account"}
    assert len({call.messages_template for call in calls}) == 1
    with pytest.raises(ConfigError, match="no requests of this kind"):
        list(calls_of_kind(iter(()), kinds, "nothing-0000", ReadReport()))


def test_memory_holds_a_sample_and_counters(tmp_path: Path) -> None:
    log = write_log(tmp_path / "long.jsonl", mixed_records(20_000))
    groups = Groups()
    most_bare = most_other = 0
    for _, exchange in read_exchanges([log]):
        groups.add(exchange)
    for group in groups.by_digest.values():
        if group.is_bare:
            most_bare = max(most_bare, len(group.sample.kept))
        else:
            most_other = max(most_other, len(group.sample.kept))
        assert len(group.sample.heap) == len(group.sample.kept)
    assert most_other == SAMPLE_CALLS
    assert most_bare == kind_groups.BARE_SAMPLE
    assert sum(group.n_calls for group in groups.by_digest.values()) == 20_000
    assert groups.n_chars == sum(group.sample.n_chars for group in groups.by_digest.values())


def test_ever_new_system_messages_do_not_fill_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kind_groups, "MAX_GROUPS", 50)
    records = [
        record([("system", f"Context: {words(9, at)}"), ("user", words(4, at))], "x") for at in range(500)
    ]
    records += mixed_records(500)
    random.Random(0).shuffle(records)
    log = write_log(tmp_path / "log.jsonl", records)
    groups = Groups()
    for _, exchange in read_exchanges([log]):
        groups.add(exchange)
        assert len(groups.by_digest) <= 50
    counts = counts_of(tmp_path, records)
    assert len(counts) == 4
    assert counts["other"] >= 500


def test_long_requests_make_samples_smaller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kind_groups, "MAX_SAMPLE_CHARS", 20_000)
    log = write_log(tmp_path / "log.jsonl", mixed_records(1000))
    groups = Groups()
    for _, exchange in read_exchanges([log]):
        groups.add(exchange)
    assert groups.shrunk > 1
    assert all(len(one.sample.kept) <= SAMPLE_CALLS // groups.shrunk for one in groups.by_digest.values() if not one.is_bare)  # fmt: skip
    assert len(find_kinds(read_exchanges([log])).kinds) == 3


def test_a_sample_keeps_the_smallest_hashes_once() -> None:
    sample = Sample(3)
    for key in (5, 9, 1, 7, 5, 3, 1):
        sample.offer(key, (("user", str(key)),))
    assert [request[0][1] for request in sample.requests()] == ["1", "3", "5"]
    assert sample.n_chars == 3


@pytest.mark.parametrize(
    ("system", "slug"),
    [
        ("You are a helpful assistant. Classify the mail.", "classify-the-mail"),
        ("You are an expert translator.", "expert-translator"),
        ("Your task is to find the due date.\nAnswer with JSON.", "find-the-due-date"),
        ("# Routing of tickets\n\nRules: ...", "routing-of-tickets"),
        ("!!!", "requests"),
        ("Donaudampfschifffahrtsgesellschaft", "donaudampfschifffahr"),
    ],
)
def test_slugs(system: str, slug: str) -> None:
    (name,) = kind_names([((system,), None, (), "")])
    assert name.rpartition("-")[0] == slug
    assert len(name.rpartition("-")[2]) == 4


def test_names_that_are_the_same_get_more_digits() -> None:
    same = ((("Go.",), None, (), ""),) * 2
    assert all(len(name.rpartition("-")[2]) == 12 for name in kind_names(same))
