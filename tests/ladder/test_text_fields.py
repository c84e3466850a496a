"""Fields of free text in the ladder: taken on where required, given up where nothing writes them well enough."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rule_writer import RuleComponent, RuleWriter, SmallerRuleWriter, note_of

import understudy
from understudy.api import dry_run, make_options, read_log
from understudy.errors import ConfigError, DataError
from understudy.ladder import rungs
from understudy.runtime import component
from understudy.task.field import Field
from understudy.task.task import Task

FILLER = "please now today my the this order thing again help with about from week send".split()
PLAIN = Task("notes", (Field("answer", "text"),))
QUEUES = ("north", "south")


def record(**note: Any) -> Task:
    return Task("notes", (Field("queue", "choice", QUEUES), Field("note", "text", **note)))


def write_log(path: Path, *, is_plain: bool, count: int = 500, repeats: float = 0.0) -> Path:
    rng = np.random.default_rng(0)
    lines: list[str] = []
    for at in range(count):
        queue = QUEUES[rng.integers(2)]
        text = " ".join([str(at), queue, *rng.choice(FILLER, 6), str(rng.integers(10**5, 10**6))])
        output = note_of(text) if is_plain else {"queue": queue, "note": note_of(text)}
        line = json.dumps({"input": text, "output": output})
        lines.append(lines[rng.integers(len(lines))] if lines and rng.random() < repeats else line)
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(autouse=True)
def rule_writer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule stands where the writer stands in the tables."""
    built_in = {**rungs._BUILT_IN, "writer": "rule_writer:RuleWriter"}
    monkeypatch.setattr(rungs, "_BUILT_IN", built_in)
    order = tuple(name for name in rungs.RUNG_ORDER if not name.startswith("writer_"))
    monkeypatch.setattr(rungs, "RUNG_ORDER", order)  # other forms of the real writer know nothing of the rule
    monkeypatch.setattr(rungs, "_WRITERS", ("writer",))
    monkeypatch.setitem(component._BUILT_IN, "rule", "rule_writer:RuleComponent.load")
    monkeypatch.setattr(RuleWriter, "skill", 0.9)
    for seen in (RuleWriter.made, RuleWriter.settled, SmallerRuleWriter.sources):
        seen.clear()


@pytest.fixture
def smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more rung, made from the writer."""
    monkeypatch.setitem(rungs._BUILT_IN, "writer_small", "rule_writer:SmallerRuleWriter")
    monkeypatch.setattr(rungs, "RUNG_ORDER", (*rungs.RUNG_ORDER, "writer_small"))
    monkeypatch.setattr(rungs, "_WRITERS", (*rungs._WRITERS, "writer_small"))


def statuses(facts: Any) -> dict[str, str]:
    return {rung["name"]: rung["status"] for rung in facts["rungs"]}


def test_a_task_of_one_text_is_written_and_certified(tmp_path: Path) -> None:
    log = write_log(tmp_path / "calls.jsonl", is_plain=True)
    result = understudy.learn(log, task=PLAIN, out=tmp_path / "a", cache=None, teacher_price="0.001")
    assert result.is_certified
    assert "A text counts as equal if it is the same up to white space" in result.sentence
    assert statuses(result.facts)["writer"] == "fitted"
    assert statuses(result.facts)["tuned"] == "skipped"  # an encoder cannot write
    field = result.facts["fields"][0]
    assert (field["mode"], field["certificate"]["is_certified"]) == ("write", True)
    assert field["chars"]["student"] == pytest.approx(field["chars"]["reference"], abs=5)
    assert RuleWriter.settled == [result.facts["data"]["n_select"]]
    answer = result.load().answer("1 north please send 123456")
    assert (answer.value, answer.is_answered) == ("note: 123456 for send", True)
    unsure = result.load().answer("99 north please send 123456")
    assert not unsure.is_answered
    assert result.facts["receipt"]["writer"] == {"base": None, "tuning": "full"}


def test_a_record_takes_each_field_from_who_knows_it(tmp_path: Path) -> None:
    log = write_log(tmp_path / "calls.jsonl", is_plain=False)
    result = understudy.learn(
        log, task=record(), out=tmp_path / "a", cache=None, target=0.9, rungs="linear,writer"
    )
    assert result.is_certified
    assert result.facts["chosen"] == "writer+linear"  # the rule always says north
    assert result.facts["deferred_fields"] == []
    answer = result.load().answer("1 south please send 123456")
    assert answer.value == {"queue": "south", "note": "note: 123456 for send"}
    assert "Texts count as equal if: note is the same" in result.sentence


def test_a_text_that_nothing_writes_well_costs_the_other_fields_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RuleWriter, "skill", 0.01)
    log = write_log(tmp_path / "calls.jsonl", is_plain=False)
    result = understudy.learn(log, task=record(), out=tmp_path / "a", cache=None, rungs="linear,writer")
    assert result.is_certified  # the queue, by itself
    assert result.facts["chosen"] == "linear"
    assert result.facts["never_answered"] == ["note"]
    assert "the writer rung gives an equal text on" in result.facts["deferred_reasons"]["note"]
    assert any("the writer rung gives an equal text" in one for one in result.facts["warnings"])
    steps = {step["kind"]: step["text"] for step in result.facts["next_steps"]}
    assert "note is left to the teacher: the writer rung gives" in steps["why: text"]
    assert "--writer-base" in steps["another base"]
    model = result.load()
    answer = model.answer("1 south please send 123456")
    assert (answer.reason, answer.fields["queue"].is_answered) == ("no rung writes note", True)
    writer = next(rung for rung in result.facts["rungs"] if rung["name"] == "writer")
    assert writer["accuracy"]["note"] < 0.1


def test_a_useful_no_for_a_text_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RuleWriter, "skill", 0.01)
    log = write_log(tmp_path / "calls.jsonl", is_plain=True)
    result = understudy.learn(log, task=PLAIN, out=tmp_path / "a", cache=None)
    assert not result.is_certified
    assert any(step["kind"].startswith("why") for step in result.facts["next_steps"])


def test_texts_that_nobody_requires_are_left_out_unless_the_writer_is_named(tmp_path: Path) -> None:
    log = write_log(tmp_path / "calls.jsonl", is_plain=False)
    read = read_log(log, task=record(required=False))
    assert "writer" not in [one.name for one in dry_run(read[0], make_options({}))]
    cache = tmp_path / "cache"
    left_out = understudy.learn(read, out=tmp_path / "a", cache=cache, rungs="linear")
    assert left_out.is_certified
    assert left_out.facts["deferred_reasons"] == {
        "note": "not required, so it was not learnt (--rungs with writer in it would)"
    }
    assert left_out.load().answer("1 south please send 123456").value == {"queue": "south"}
    named = understudy.learn(read, out=tmp_path / "b", cache=cache, rungs="linear,writer")
    assert named.load().answer("1 south please send 123456").value["note"] == "note: 123456 for send"


def test_without_a_rung_that_writes_texts_stay_with_the_teacher(tmp_path: Path) -> None:
    log = write_log(tmp_path / "calls.jsonl", is_plain=False)
    result = understudy.learn(log, task=record(), out=tmp_path / "a", cache=None, rungs="linear")
    assert result.facts["never_answered"] == ["note"]
    assert result.facts["deferred_reasons"] == {"note": "no rung that writes was asked for"}
    with pytest.raises(DataError, match="takes on no field"):
        understudy.learn(
            write_log(tmp_path / "plain.jsonl", is_plain=True), task=PLAIN, out=tmp_path / "b", rungs="linear"
        )


def test_the_metric_decides_what_is_certified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RuleComponent, "predict", _other_words)
    log = write_log(tmp_path / "calls.jsonl", is_plain=True)
    strict = understudy.learn(log, task=PLAIN, out=tmp_path / "a", cache=None)
    assert not strict.is_certified
    field = Field("answer", "text", metric="rouge_l", metric_at_least=0.6)
    like = understudy.learn(log, task=Task("notes", (field,)), out=tmp_path / "b", cache=None)
    assert like.is_certified
    assert "a ROUGE-L of at least 0.6 with the reference's text" in like.sentence
    assert (tmp_path / "b" / "README.md").read_text().count("ROUGE") >= 1


def _other_words(self: RuleComponent, inputs: Any) -> Any:
    from understudy.runtime.prediction import FieldPrediction

    return [FieldPrediction([note_of(one[0]) + " please" for one in inputs], np.full(len(inputs), 0.9))]


def test_a_rung_made_from_another_gets_its_folder(tmp_path: Path, smaller: None) -> None:
    log = write_log(tmp_path / "calls.jsonl", is_plain=True)
    cache = tmp_path / "cache"
    result = understudy.learn(log, task=PLAIN, out=tmp_path / "a", cache=cache, teacher_price="0.001")
    assert statuses(result.facts)["writer_small"] == "fitted"
    assert SmallerRuleWriter.sources[0].parent == cache
    with pytest.raises(ConfigError, match="made from writer"):
        understudy.learn(log, task=PLAIN, out=tmp_path / "b", cache=cache, rungs="writer_small")


def test_a_rung_made_from_a_hopeless_one_is_skipped(
    tmp_path: Path, smaller: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RuleWriter, "skill", 0.01)
    log = write_log(tmp_path / "calls.jsonl", is_plain=True)
    result = understudy.learn(log, task=PLAIN, out=tmp_path / "a", cache=None)
    reasons = {rung["name"]: rung["reason"] for rung in result.facts["rungs"]}
    assert "sure enough of nothing" in reasons["writer_small"]


def test_the_writer_has_a_base_of_its_own(tmp_path: Path) -> None:
    log = write_log(tmp_path / "calls.jsonl", is_plain=True)
    common: dict[str, Any] = {
        "task": PLAIN,
        "cache": tmp_path / "cache",
        "rungs": "writer",
        "max_minutes": 1e4,
    }
    understudy.learn(log, out=tmp_path / "a", **common)
    understudy.learn(log, out=tmp_path / "b", writer_base="a/base", writer_tuning="lora", **common)
    understudy.learn(log, out=tmp_path / "c", **common)
    assert [(one.base, one.tuning) for one in RuleWriter.made] == [(None, "full"), ("a/base", "lora")]
    with pytest.raises(ConfigError, match="adapters need a base"):
        make_options({"writer_tuning": "lora"})
    with pytest.raises(ConfigError, match="writer-tuning is unknown"):
        make_options({"writer_tuning": "some"})


def test_one_cache_serves_runs_with_and_without_texts(tmp_path: Path) -> None:
    """Which rows are judged depends on the fields in play: a rung of the one run is none of the other."""
    log = write_log(tmp_path / "calls.jsonl", is_plain=False)
    lines = log.read_text().splitlines()
    lines[::7] = [json.dumps({**json.loads(line), "output": {"queue": "north"}}) for line in lines[::7]]
    log.write_text("\n".join(lines))
    common: dict[str, Any] = {"task": record(), "cache": tmp_path / "cache", "target": 0.8}
    one = understudy.learn(log, out=tmp_path / "a", rungs="linear", **common)
    two = understudy.learn(log, out=tmp_path / "b", rungs="linear,writer", **common)
    assert two.facts["data"]["n_select"] < one.facts["data"]["n_select"]
    assert statuses(two.facts) == {"linear": "fitted", "writer": "fitted"}


def test_a_repeated_question_gets_its_text_again(tmp_path: Path) -> None:
    log = write_log(tmp_path / "calls.jsonl", is_plain=True, count=700, repeats=0.5)
    result = understudy.learn(log, task=PLAIN, out=tmp_path / "a", cache=None, target=0.8)
    assert result.facts["chosen"].startswith("lookup → ")
    line = json.loads(log.read_text().splitlines()[0])
    answer = result.load().answer(line["input"])
    assert (answer.rung, answer.value) == ("lookup", line["output"])


def test_texts_are_quoted_only_where_texts_are_kept(tmp_path: Path) -> None:
    log = write_log(tmp_path / "calls.jsonl", is_plain=True)
    common: dict[str, Any] = {"task": PLAIN, "cache": tmp_path / "cache", "rungs": "writer"}
    shown = understudy.learn(log, out=tmp_path / "a", **common).facts["disagreements"]
    assert shown[0]["student"] == "no idea"
    hidden = understudy.learn(log, out=tmp_path / "b", keep_texts=False, **common)
    assert hidden.facts["disagreements"][0]["student"] is None
    assert "note: " not in (tmp_path / "b" / "report.html").read_text()


def test_the_plan_foresees_longer_work_for_longer_texts_and_bases(tmp_path: Path) -> None:
    data, _ = read_log(write_log(tmp_path / "calls.jsonl", is_plain=True), task=PLAIN)
    (short,) = dry_run(data, make_options({"rungs": "writer"}))
    (based,) = dry_run(data, make_options({"rungs": "writer", "writer_base": "a/base"}))
    assert 0 < short.fit_seconds < based.fit_seconds
    assert short.call_seconds < based.call_seconds


@pytest.mark.parametrize("kind", ["missing", "empty"])
def test_a_base_that_is_not_there_is_refused_before_anything_is_trained(tmp_path: Path, kind: str) -> None:
    """Also where the writer would be beyond the time allowed, and its own training never say so."""
    (tmp_path / "empty").mkdir()
    data, _ = read_log(write_log(tmp_path / "calls.jsonl", is_plain=True), task=PLAIN)
    with pytest.raises(ConfigError, match="--writer-base"):
        dry_run(data, make_options({"writer_base": str(tmp_path / kind), "max_minutes": 1}))


def test_the_plan_counts_the_steps_that_the_writer_takes() -> None:
    """The ladder may not import the recipe, which needs torch: its copy of the figures is held to it here."""
    from understudy.lm import writer_recipe
    from understudy.lm.writer_recipe import base_plan, scratch_plan

    # A long log is seen fewer times, so the plan must not think it beyond the time allowed.
    assert rungs._SCRATCH_FLOPS == writer_recipe._SCRATCH_FLOPS
    assert rungs._writer_work(10**6, 500.0, None)[0] == rungs._writer_work(10**5, 500.0, None)[0]
    for rows, least in ((8, True), (6_400, False)):
        tokens = [64] * rows
        made = {
            True: scratch_plan(tokens, n_parameters=1_000_000).settings.schedule.n_steps,
            False: base_plan(tokens, is_full=True).settings.schedule.n_steps,
        }
        for is_scratch, (epochs, fewest, most) in rungs._WRITER_STEPS.items():
            planned = min(max(epochs * rows / rungs._WRITER_ROWS, fewest), most)
            assert made[is_scratch] == (planned if least else pytest.approx(planned, rel=0.1))
