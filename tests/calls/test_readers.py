"""Readers: every format to the same calls, and nothing bad that goes uncounted."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.calls.call import ABSENT
from understudy.calls.readers import read_calls
from understudy.calls.report import ReadReport
from understudy.errors import ConfigError, DataError

ROWS = [
    {"input": "Where is my card?", "output": "card_arrival", "gold": "card_arrival", "split": "Train"},
    {"input": "我的卡在哪里？ 🙂", "output": None},
    {"input": "أين بطاقتي", "gold": {"a": 1}},
]


def write(path: Path, rows: list[object]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def read(path: Path, **options: object) -> tuple[list, ReadReport]:
    report = ReadReport()
    return list(read_calls([path], report=report, **options)), report


def test_plain_lines(tmp_path: Path) -> None:
    calls, report = read(write(tmp_path / "a.jsonl", ROWS))
    assert [call.input for call in calls] == [row["input"] for row in ROWS]
    assert [call.output for call in calls] == ["card_arrival", None, ABSENT]
    assert calls[0].split == "train"
    assert calls[1].gold is ABSENT
    assert calls[2].gold == {"a": 1}
    assert [call.id for call in calls] == ["line-1", "line-2", "line-3"]
    assert report.formats == {"a.jsonl": "plain"}


def test_array_gzip_and_pretty_forms_give_the_same_calls(tmp_path: Path) -> None:
    lines = write(tmp_path / "a.jsonl", ROWS)
    array = tmp_path / "a.json"
    array.write_text(json.dumps(ROWS, indent=2), encoding="utf-8-sig")
    packed = tmp_path / "a.jsonl.gz"
    packed.write_bytes(gzip.compress(lines.read_bytes()))
    listed = tmp_path / "b.json"
    listed.write_text(json.dumps({"object": "list", "data": ROWS}, indent=1))
    expected = [(call.input, call.output, call.gold) for call in read(lines)[0]]
    for path in (array, packed, listed):
        assert [(call.input, call.output, call.gold) for call in read(path)[0]] == expected


def test_large_array_is_read_in_chunks(tmp_path: Path) -> None:
    rows = [{"input": f"text {at} " + "x" * 3000, "output": at} for at in range(1500)]
    path = tmp_path / "a.json"
    path.write_text(json.dumps(rows))
    calls, _ = read(path)
    assert [call.output for call in calls] == list(range(1500))


def test_bad_lines_are_counted_by_reason_with_places(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    good = b'{"input": "fine", "output": "a"}\n'
    path.write_bytes(
        b"\xef\xbb\xbf" + good
        + b'{"input": "cut off\n'
        + b"[1, 2]\n"
        + b'{"output": "a"}\n'
        + b'{"input": "  ", "output": "a"}\n'
        + b'{"input": 3, "output": "a"}\n'
        + b'{"input": "x", "output": NaN}\n'
        + b'{"input": "x", "output": 1e999}\n'
        + b'{"input": "null \x00 byte"}\n'
        + b'{"input": "null \\u0000 byte"}\n'
        + b'{"input": "latin \xe9"}\n'
        + b'{"input": "half \\ud83d"}\n'
        + b'{"input": "' + b"y" * 2_000_001 + b'"}\n'
        + b"[" * 100_000 + b"\n"
        + b"\n" + good
    )  # fmt: skip
    calls, report = read(path)
    assert len(calls) == 2
    assert report.n_lines == 15
    counts = {reason: refusal.count for reason, refusal in report.refused.items()}
    assert counts == {
        "broken JSON": 1,
        "not a JSON object": 1,
        "no input": 1,
        "empty input": 1,
        "input is not a text or an object of texts": 1,
        "NaN or Infinity": 2,
        "null byte": 2,
        "not UTF-8": 1,
        "half a surrogate pair": 1,
        "input too long": 1,
        "nested too deeply": 1,
    }
    assert report.refused["NaN or Infinity"].places == ["bad.jsonl:7", "bad.jsonl:8"]


def test_two_million_characters_are_read(tmp_path: Path) -> None:
    calls, _ = read(write(tmp_path / "a.jsonl", [{"input": "y" * 2_000_000, "output": "a"}]))
    assert len(calls[0].input) == 2_000_000


def test_errors_show_no_text_of_the_log(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"input": ["secret words"], "output": "hush"}\n{"secret words": \n')
    with pytest.raises(DataError) as caught:
        read(path)
    assert "secret words" not in str(caught.value).replace("columns seen", "")
    assert "hush" not in str(caught.value)
    assert "a.jsonl:1" in str(caught.value)


def test_nothing_to_read(tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text("\n\n")
    with pytest.raises(DataError, match="no calls"):
        read(empty)
    with pytest.raises(ConfigError, match="does not exist"):
        read(tmp_path / "none.jsonl")
    with pytest.raises(ConfigError, match="folder"):
        read(tmp_path)
    with pytest.raises(ConfigError, match="unknown format"):
        read(empty, format="xml")
    with pytest.raises(DataError, match="columns seen: text, label"):
        read(write(tmp_path / "a.jsonl", [{"text": "a", "label": "b"}]))


def test_mapping(tmp_path: Path) -> None:
    rows = [
        {"q": {"text": "hello"}, "label.x": "a", "meta": {"who": "m"}},
        {"q": {"text": "you"}, "label.x": None},
    ]
    path = write(tmp_path / "a.jsonl", rows)
    calls, _ = read(path, mapping={"input": "q.text", "output": "label.x", "model": "meta.who"})
    assert [(call.input, call.output, call.model) for call in calls] == [
        ("hello", "a", "m"),
        ("you", None, None),
    ]


def test_mapping_of_several_input_columns(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [{"p": "one", "h": 2, "y": "z"}, {"p": "one", "y": "z"}])
    calls, report = read(path, mapping={"input.premise": "p", "input.hypothesis": "h", "output": "y"})
    assert calls[0].input == {"premise": "one", "hypothesis": "2"}
    assert report.refused["input lacks a mapped part"].count == 1


def test_wrong_mappings(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", ROWS)
    with pytest.raises(ConfigError, match="columns seen: input, output, gold"):
        read(path, mapping={"output": "teacher"})
    with pytest.raises(ConfigError, match="does not have"):
        read(path, mapping={"answer": "output"})
    with pytest.raises(ConfigError, match="whole and by parts"):
        read(path, mapping={"input": "a", "input.b": "b"})
    with pytest.raises(ConfigError, match="no column"):
        read(path, mapping={"input": ""})


def test_repeated_ids_get_a_suffix(tmp_path: Path) -> None:
    rows = [{"id": given, "input": "x", "output": 1} for given in ("a", "a", "a#2", "a", 7, "7")]
    calls, report = read(write(tmp_path / "a.jsonl", rows))
    ids = [call.id for call in calls]
    assert len(set(ids)) == 6
    assert ids[:2] == ["a", "a#2"]
    assert report.notes["ids that came before (suffixed)"] == 4


def test_side_facts(tmp_path: Path) -> None:
    row = {
        "input": "x", "output": "a", "time": "2024-05-01T00:00:00Z", "usage": {
            "prompt_tokens": 10, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}},
        "cost_usd": "0.5", "latency_ms": -1, "votes": {"m": "b"}, "label_probabilities": {"a": 0.7, "b": 0.3},
        "rationale": " ", "split": " Dev ",
    }  # fmt: skip
    call = read(write(tmp_path / "a.jsonl", [row]))[0][0]
    assert call.time == 1714521600.0
    assert (call.usage.input_tokens, call.usage.output_tokens, call.usage.cached_tokens) == (10, 2, 4)
    assert call.cost_usd == 0.5
    assert call.latency_ms is None
    assert call.votes == ("b",)
    assert call.label_probabilities == {"a": 0.7, "b": 0.3}
    assert call.rationale is None
    assert call.split == "dev"
    millis = read(write(tmp_path / "b.jsonl", [{**row, "time": 1714521600000, "input_tokens": 11}]))[0][0]
    assert millis.time == 1714521600.0
    assert (millis.usage.input_tokens, millis.usage.output_tokens) == (11, 2)


def test_csv(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerows(
            [["input", "output", "gold", "note"], ["a, b", "3", "x", ""], ["line\nbreak", "", "y", "n"]]
        )
        file.write("too,many,cells,in,here\nz,4.5,,\n")
    calls, report = read(path)
    assert [(call.input, call.output, call.gold) for call in calls] == [
        ("a, b", 3, "x"),
        ("line\nbreak", ABSENT, "y"),
        ("z", 4.5, ABSENT),
    ]
    assert report.refused["more cells than columns"].count == 1


def test_csv_types_are_a_columns_not_a_cells(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("input,output,gold\n1,007,true\n2,8,False\n")
    calls, _ = read(path)
    assert [(call.input, call.output, call.gold) for call in calls] == [("1", "007", True), ("2", "8", False)]


def test_csv_with_bad_bytes_and_no_header(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"input,output\ncaf\xe9,a\nfine,b\n")
    calls, report = read(path)
    assert [call.input for call in calls] == ["fine"]
    assert report.refused["not UTF-8"].places == ["a.csv:2"]
    path.write_bytes(b"")
    with pytest.raises(DataError, match="no header"):
        read(path)


def test_parquet(tmp_path: Path) -> None:
    pl = pytest.importorskip("polars")
    path = tmp_path / "a.parquet"
    frame = {"input": ["a", "b"], "output": ["x", None], "s": [{"k": 1}, {"k": 2}]}
    pl.DataFrame(frame).write_parquet(path)
    calls, _ = read(path, mapping={"gold": "s.k"})
    assert [(call.input, call.output, call.gold) for call in calls] == [("a", "x", 1), ("b", ABSENT, 2)]
    path.write_bytes(b"no parquet")
    with pytest.raises(DataError, match="Parquet"):
        read(path)


def test_broken_gzip_is_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"input": "a", "output": 1}\n' * 1000)[:-9])
    with pytest.raises(DataError, match="cannot be read"):
        read(path)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=8))
def test_any_bytes_are_calls_or_counted(tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]) -> None:
    path = tmp_path_factory.mktemp("any") / "a.jsonl"
    path.write_bytes(b'{"input": "good", "output": 1}\n' + b"\n".join(lines))
    calls, report = read(path)
    assert report.n_lines == len(calls) + report.n_refused


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            ["input", "output", "gold", "id", "messages", "request", "response", "usage", "time", "votes", "choices",
             "label_probabilities", "split", "model", "body", "custom_id", "cost_usd"]
        ),
        json_values,
    )
)  # fmt: skip
def test_any_record_is_a_call_or_counted(tmp_path_factory: pytest.TempPathFactory, record: dict) -> None:
    path = write(tmp_path_factory.mktemp("any") / "a.jsonl", [record, record])
    report = ReadReport()
    try:
        calls = list(read_calls([path], report=report))
    except (DataError, ConfigError):
        return
    assert len(calls) + report.n_refused == 2
    assert len({call.id for call in calls}) == len(calls)
