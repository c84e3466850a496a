"""What examples/support/README.md promises of the shipped calls."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from understudy.task.parse import OffSchema, parse_output
from understudy.task.spec import load_task

Row = dict[str, Any]
Gram = tuple[str, ...]


@pytest.fixture(scope="module")
def rows(example_calls: Path) -> list[Row]:
    return [json.loads(line) for line in example_calls.read_text(encoding="utf-8").splitlines()]


def four_grams(row: Row) -> set[Gram]:
    """Word 4-grams; for Chinese character 4-grams. Case and punctuation do not count."""
    if row["language"] == "zh":
        units = [char for char in row["input"] if char.isalnum()]
    else:
        units = re.findall(r"[^\W_]+(?:['’][^\W_]+)*", row["input"].lower())
    return {tuple(units[at : at + 4]) for at in range(len(units) - 3)}


def largest_shares(grams: list[set[Gram]]) -> list[tuple[float, int, int]]:
    """Pairs with common 4-grams and the share of the shorter one's that is common, largest first."""
    owners: dict[Gram, list[int]] = defaultdict(list)
    for at, own in enumerate(grams):
        for gram in own:
            owners[gram].append(at)
    common = Counter((one, two) for them in owners.values() for two in them for one in them if one < two)
    shares = [(n / min(len(grams[one]), len(grams[two])), one, two) for (one, two), n in common.items()]
    return sorted(shares, reverse=True)


def numbers_in(text: str) -> set[float]:
    """Every number that can be read from `text`, with marks between digits as decimal or thousands marks."""
    found: set[float] = set()
    for raw in re.findall(r"\d+(?:[.,'’ \u00a0]\d+)*", text):
        pieces = [raw, *re.split(r"[,'’ \u00a0]", raw)]
        for piece in pieces:
            for spelt in (
                re.sub(r"[,'’ \u00a0]", "", piece),
                re.sub(r"[.'’ \u00a0]", "", piece).replace(",", "."),
                piece.replace(",", "."),
            ):
                if re.fullmatch(r"\d+(?:\.\d+)?", spelt):
                    found.add(float(spelt))
    return found


def test_counts_by_language(rows: list[Row]) -> None:
    assert Counter(row["language"] for row in rows) == {"en": 1310, "zh": 325}
    assert len({row["id"] for row in rows}) == len(rows) == 1635
    is_chinese = [bool(re.search("[\u4e00-\u9fff]", row["input"])) for row in rows]
    assert is_chinese == [row["language"] == "zh" for row in rows]


def test_every_answer_fits_the_task(rows: list[Row], example_task: Path) -> None:
    task = load_task(example_task)
    names = [field.name for field in task.fields]
    for row in rows:
        assert list(row) == ["id", "language", "input", "output"], row["id"]
        assert list(row["output"]) == names, row["id"]
        parsed = parse_output(task, row["output"])
        assert not isinstance(parsed, OffSchema), (row["id"], parsed)
        assert not any(isinstance(value, OffSchema) for value in parsed.values()), row["id"]
        assert row["output"]["reason"].strip()
        assert "\n" not in row["output"]["reason"]


def test_every_value_of_queue_and_urgent_occurs(rows: list[Row], example_task: Path) -> None:
    queue = next(field for field in load_task(example_task).fields if field.name == "queue")
    assert {row["output"]["queue"] for row in rows} == set(queue.labels)
    assert {row["output"]["urgent"] for row in rows} == {True, False}


def test_order_ids_stand_in_their_messages(rows: list[Row]) -> None:
    given = [row for row in rows if row["output"]["order_id"] is not None]
    assert given
    assert [row["id"] for row in given if row["output"]["order_id"] not in row["input"]] == []


def test_refund_amounts_are_numbers_in_their_messages(rows: list[Row]) -> None:
    given = [row for row in rows if row["output"]["refund_amount"] is not None]
    assert given
    missing = [row["id"] for row in given if row["output"]["refund_amount"] not in numbers_in(row["input"])]
    assert missing == []


def test_no_two_messages_share_half_of_their_4_grams(rows: list[Row]) -> None:
    shares = largest_shares([four_grams(row) for row in rows])
    close = [(share, rows[one]["id"], rows[two]["id"]) for share, one, two in shares if share >= 0.5]
    assert close == []


def test_the_4_gram_rule_finds_copies() -> None:
    text = "where is my parcel, it was due on Monday"
    other = "Where is my parcel? It was due on Tuesday."
    grams = [four_grams({"language": "en", "input": one}) for one in (text, other)]
    assert largest_shares(grams)[0][0] > 0.5
    grams = [four_grams({"language": "zh", "input": one}) for one in ("包裹还没有到货", "我的包裹还没有到货")]
    assert largest_shares(grams)[0][0] == 1.0


def test_the_readme_names_the_counts(rows: list[Row], example_calls: Path) -> None:
    page = (example_calls.parent / "README.md").read_text(encoding="utf-8")
    for count in ("1,635", "1,310", "325"):
        assert count in page
    assert json.dumps(rows[0], ensure_ascii=False) in page
