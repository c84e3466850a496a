"""From a log to a dataset: what is kept, counted and told; bad logs of every kind."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.calls.call import ABSENT, UNKNOWN, Call
from understudy.dataset.facts import RECORD, share_of
from understudy.dataset.inspection import rows_for_certificate
from understudy.dataset.load import dataset_from_calls, load_dataset
from understudy.errors import DataError, UnderstudyError
from understudy.task.field import Field
from understudy.task.task import Task

WORDS = [f"{a}{b}{c}" for a in "bcdfglmprst" for b in "aeiou" for c in "lnrstdk"]


def sentences(n: int, seed: int = 0) -> list[str]:
    rng = random.Random(seed)
    return [" ".join(rng.choice(WORDS) for _ in range(12)) for _ in range(n)]


def write(path: Path, rows: list[Any]) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def labelled(n: int, **more: Any) -> list[dict[str, Any]]:
    return [{"input": text, "output": "abc"[at % 3], **more} for at, text in enumerate(sentences(n))]


def test_a_plain_log(tmp_path: Path) -> None:
    path = write(tmp_path / "my log.jsonl", labelled(300))
    dataset, report = load_dataset([path])
    assert len(dataset) == report.n_rows == 300
    assert dataset.task.name == "my-log"
    assert [problem.mode for problem in dataset.problems] == ["classify"]
    assert dataset.teacher["answer"][:3] == ["a", "b", "c"]
    assert dataset.gold["answer"][0] is UNKNOWN
    assert dataset.has_teacher()
    assert not dataset.has_gold()
    sizes = [len(dataset.rows(name)) for name in ("train", "select", "certify", "holdout")]
    assert sizes == [192, 48, 60, 0]
    json.dumps(report.to_dict())


def test_the_fingerprint_is_of_the_content(tmp_path: Path) -> None:
    one, _ = load_dataset([write(tmp_path / "a.jsonl", labelled(50))], name="t")
    two, _ = load_dataset([write(tmp_path / "b.jsonl", labelled(50))], name="t")
    changed = labelled(50)
    changed[7]["output"] = "c"
    three, _ = load_dataset([write(tmp_path / "c.jsonl", changed)], name="t")
    assert one.fingerprint() == two.fingerprint() != three.fingerprint()
    assert one.take(range(40)).fingerprint() != one.fingerprint()
    assert one.take([3, 1]).ids == [one.ids[3], one.ids[1]]


def test_objects_with_gold(tmp_path: Path) -> None:
    rows = []
    for at, text in enumerate(sentences(200)):
        output = {"queue": "xy"[at % 2], "id": text.split()[0] if at % 4 else None}
        gold = {"queue": "x"} if at % 4 == 0 else {"queue": "xy"[at % 2], "id": text.split()[0]}
        rows.append({"input": text, "output": output, "gold": gold})
    dataset, report = load_dataset([write(tmp_path / "a.jsonl", rows)])
    assert {problem.field.name: problem.mode for problem in dataset.problems} == {
        "queue": "classify",
        "id": "point",
    }
    # Gold never writes null, so a key that it leaves out says "not there".
    assert dataset.gold["id"][0] is None
    assert report.n_gold_read_as_null == 50
    assert report.facts.accuracy["queue"].value == 1.0
    assert report.facts.accuracy[RECORD].n == 200


def test_gold_that_writes_null_leaves_the_rest_unknown(tmp_path: Path) -> None:
    rows = [
        {
            "input": text,
            "output": {"q": "xy"[at % 2], "u": None},
            "gold": {"q": "x", "u": None} if at % 2 else {"q": "x"},
        }
        for at, text in enumerate(sentences(100))
    ]
    dataset, report = load_dataset([write(tmp_path / "a.jsonl", rows)])
    assert dataset.gold["u"][0] is UNKNOWN
    assert dataset.gold["u"][1] is None
    assert report.facts.accuracy[RECORD].value == 0.5


def test_off_schema_answers_are_kept_out_counted_and_wrong(tmp_path: Path) -> None:
    rows = [
        *labelled(90, gold="a"),
        {"input": "strange one", "output": "As a model I cannot say", "gold": "a"},
    ]
    task = Task("t", (Field("answer", "choice", ("a", "b", "c")),))
    dataset, report = load_dataset([write(tmp_path / "a.jsonl", rows)], task=task)
    assert dataset.off_schema.sum() == report.n_off_schema == 1
    assert dataset.teacher["answer"][90] is UNKNOWN
    assert report.off_schema == {"answer: not one of the labels": 1}
    assert report.facts.accuracy["answer"].n == 90
    assert report.facts.accuracy_of_all["answer"].n == 91


def test_leniency_reads_labels_out_of_text(tmp_path: Path) -> None:
    rows = [
        {"input": text, "output": f"Category: {'ab'[at % 2]}x\n\nBecause."}
        for at, text in enumerate(sentences(40))
    ]
    task = Task("t", (Field("answer", "choice", ("ax", "bx")),))
    path = write(tmp_path / "a.jsonl", rows)
    assert load_dataset([path], task=task)[1].n_off_schema == 40
    dataset, report = load_dataset([path], task=task, lenient=True)
    assert report.n_off_schema == 0
    assert dataset.teacher["answer"][:2] == ["ax", "bx"]


def test_repeats_votes_and_soft_targets() -> None:
    calls = []
    for at, text in enumerate(sentences(60)):
        calls.append(Call(f"a{at}", text, "xy"[at % 2], votes=("x", "x", "z z z") if at < 2 else ()))
        if at < 20:
            calls.append(Call(f"b{at}", text, "x"))
    calls.append(Call("p", "fresh words here", "x", label_probabilities={"x": 0.6, "Y": 0.3}))
    calls.append(Call("q", "other words here", "x", label_probabilities={"x": 0.2}))
    dataset, report = dataset_from_calls(calls)
    agreement = report.facts.self_agreement["answer"]
    assert agreement.n == 20
    # Inputs 0 and 1 have 4 usable answers each (all x; y, x, x, x), the other 18 two, half of them equal.
    assert agreement.value == pytest.approx((1 + 0.5 + 9) / 20)
    assert report.facts.ceiling["answer"] == pytest.approx(agreement.high**0.5)
    soft = dataset.soft["answer"]
    columns = dataset.problems[0].values
    assert soft[0].tolist() == pytest.approx([1.0 if value == "x" else 0.0 for value in columns])
    row = dataset.ids.index("p")
    expected = {"x": 2 / 3, "y": 1 / 3}
    assert soft[row].tolist() == pytest.approx([expected[value] for value in columns])
    assert np.isnan(soft[dataset.ids.index("q")]).all()
    assert report.n_same_input == 20
    assert report.n_same_call == 10


def test_records_as_input_and_inputs_of_another_shape(tmp_path: Path) -> None:
    rows: list[Any] = [
        {"input": {"a": text, "n": at}, "output": "xy"[at % 2]} for at, text in enumerate(sentences(100))
    ]
    rows.append({"input": "no record", "output": "x"})
    dataset, report = load_dataset([write(tmp_path / "a.jsonl", rows)])
    assert dataset.task.input_names == ("a", "n")
    assert dataset.inputs[3] == (sentences(100)[3], "3")
    assert report.n_bad_inputs == 1
    assert len(dataset) == len(dataset.ids) == len(dataset.teacher["answer"]) == 100
    wrong = Task("t", (Field("answer", "choice", ("x", "y")),), input_names=("other",))
    with pytest.raises(DataError, match="shape"):
        load_dataset([tmp_path / "a.jsonl"], task=wrong)


def test_max_calls_and_progress(tmp_path: Path) -> None:
    phases = set()
    path = write(tmp_path / "a.jsonl", labelled(100))
    dataset, _ = load_dataset([path], max_calls=30, progress=lambda phase, share: phases.add(phase))
    assert len(dataset) == 30
    assert {"parsing answers", "near-duplicates"} <= phases


def test_only_gold(tmp_path: Path) -> None:
    rows = [{"input": text, "gold": "ab"[at % 2], "label": 1} for at, text in enumerate(sentences(80))]
    dataset, report = load_dataset([write(tmp_path / "a.jsonl", rows)])
    assert dataset.has_gold()
    assert not dataset.has_teacher()
    assert dataset.problems[0].mode == "classify"
    assert any("columns seen: input, gold, label" in warning for warning in report.warnings)


def test_rows_for_a_certificate() -> None:
    least, likely = rows_for_certificate()
    assert least == 59
    assert 150 < likely < 300


def test_intervals() -> None:
    assert share_of(0, 0) is None
    share = share_of(9, 10)
    assert share is not None
    # Newcombe (1998), table I, method 3: 81 of 263 gives .2553 to .3662.
    known = share_of(81, 263)
    assert known is not None
    assert (round(known.low, 4), round(known.high, 4)) == (0.2553, 0.3662)
    assert share_of(10, 10).high == 1.0  # type: ignore[union-attr]


ZOO: dict[str, list[Any]] = {
    "one class": [{"input": text, "output": "a"} for text in sentences(50)],
    "ten calls": labelled(10),
    "one call": labelled(1),
    "same input": [{"input": "x", "output": "ab"[at % 2]} for at in range(30)],
    "free text": [{"input": text, "output": text[::-1]} for text in sentences(30)],
    "two megabytes": [*labelled(30), {"input": "word " * 400_000, "output": "a"}],
    "too large": [*labelled(30), {"input": "word " * 400_001, "output": "a"}],
    "mixed schemas": [*labelled(30), *[{"input": text, "output": {"k": 1}} for text in sentences(20, 1)]],
    "broken lines": [*labelled(30), '{"input": "x', "nonsense", "[]", '{"input": "y", "output": NaN}'],
    "emoji and rtl": [
        {"input": f"{text} 🙂👩‍👩‍👧 مرحبا \u202eabc", "output": "👍👎"[at % 2]}
        for at, text in enumerate(sentences(40))
    ],
    "null bytes": [*labelled(30), {"input": "a\0b", "output": "a"}, '{"input": "a\0b", "output": "a"}'],
    "duplicate ids": [{**row, "id": "same"} for row in labelled(30)],
    "null answers": [{"input": text, "output": None} for text in sentences(20)],
    "empty lists": [{"input": text, "output": []} for text in sentences(20)],
    "deep": [{"input": text, "output": {"a": {"b": {"c": {"d": [1]}}}}} for text in sentences(20)],
    "huge numbers": [{"input": text, "output": 10**400} for text in sentences(20)],
    "chinese": [
        {"input": "我的卡" + "在到没有收"[at % 5] * 3 + str(at), "output": "查询"} for at in range(20)
    ],
}


@pytest.mark.parametrize("name", ZOO)
def test_the_zoo_of_bad_logs(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", ZOO[name])
    try:
        dataset, report = load_dataset([path])
    except UnderstudyError as error:
        pytest.fail(f"{name}: {error}")
    assert report.read.n_lines == report.n_rows + report.read.n_refused + report.n_bad_inputs
    assert len(dataset.fingerprint()) == 64
    json.dumps(report.to_dict(), allow_nan=False)
    warnings = " ".join(report.warnings)
    if name == "one class":
        assert "only one answer" in warnings
    if name in ("ten calls", "one call"):
        assert "rows to certify with" in warnings
    if name == "free text":
        assert "hardly ever be the same to the letter" in warnings
        assert report.learns == ("answer",)
    if name == "mixed schemas":
        assert report.n_off_schema == 20
        assert "off-schema" in warnings
    if name == "broken lines":
        assert report.read.n_refused == 4
    if name == "null bytes":
        assert report.read.refused["null byte"].count == 2


def test_all_answers_off_schema(tmp_path: Path) -> None:
    task = Task("t", (Field("answer", "choice", ("p", "q")),))
    _, report = load_dataset([write(tmp_path / "a.jsonl", labelled(40))], task=task)
    assert report.n_off_schema == 40
    assert any("no usable answer" in warning for warning in report.warnings)


def test_no_answers(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="columns seen: input, label"):
        load_dataset([write(tmp_path / "a.jsonl", [{"input": "a", "label": "b"}])])


def test_absent_is_kept_apart_from_null(tmp_path: Path) -> None:
    rows = [
        {
            "input": text,
            "output": {"k": "xy"[at % 2], **({} if at % 3 == 0 else {"o": None if at % 3 == 1 else "v"})},
        }
        for at, text in enumerate(sentences(90))
    ]
    dataset, report = load_dataset([write(tmp_path / "a.jsonl", rows)])
    assert dataset.teacher["o"][:3] == [ABSENT, None, "v"]
    item = next(item for item in report.fields if item.field.name == "o")
    assert (item.n_absent, item.n_null, item.n_known) == (30, 30, 90)


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "output", "kind", "accuracy"),
    [
        ("banking77_qwen7b", "teacher_label", "choice", 0.633),
        ("esnli_palm540b", "teacher_label", "choice", 0.720),
        ("cqa_palm540b", "teacher_label", "span", 0.771),
    ],
)
def test_recorded_logs(shared_calls: Path, name: str, output: str, kind: str, accuracy: float) -> None:
    dataset, report = load_dataset([shared_calls / f"{name}.jsonl"], mapping={"output": output})
    assert dataset.task.fields[0].kind == kind
    assert report.facts.accuracy_of_all["answer"].value == pytest.approx(accuracy, abs=0.0006)
    if name.startswith("esnli"):
        assert dataset.task.line_labels == ("Premise", "Hypothesis")
        assert len(dataset.rows("train")) == 10_000


@pytest.mark.shared
def test_recorded_objects(shared_calls: Path) -> None:
    dataset, report = load_dataset(
        [shared_calls / "product_extract_gpt4.jsonl"], mapping={"output": "teacher_label"}
    )
    assert len(dataset.task.fields) == 92
    modes = [problem.mode for problem in dataset.problems]
    assert modes.count("point") > 80
    assert report.facts.accuracy[RECORD].value == pytest.approx(0.530, abs=0.012)


def test_free_text_answers_beside_gold_labels(tmp_path: Path) -> None:
    rows = [
        {
            "input": text,
            "output": f"Category: {'ab'[at % 2]}x\n\nI think so: {text[::-1]}",
            "gold": f"{'ab'[at % 2]}x",
        }
        for at, text in enumerate(sentences(60))
    ]
    path = write(tmp_path / "a.jsonl", rows)
    _, strict = load_dataset([path])
    assert any("--lenient" in warning for warning in strict.warnings)
    dataset, report = load_dataset([path], lenient=True)
    assert dataset.task.fields[0].kind == "choice"
    assert report.n_off_schema == 0
    assert report.facts.accuracy["answer"].value == 1.0
