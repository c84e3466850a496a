"""Whole jobs against a real endpoint: order, budgets, retries, limits, the cache, repeats, what is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from teachers.scripted_server import ScriptedServer, queue_of
from teachers.workplace import QUEUE, Workplace
from understudy.calls.readers import read_calls
from understudy.calls.report import ReadReport
from understudy.errors import ConfigError, DataError
from understudy.task.field import Field
from understudy.task.task import Task
from understudy.teachers.label import label
from understudy.teachers.options import LabelOptions, TeacherOptions

MakeTexts = Callable[[int], list[str]]
Server = tuple[ScriptedServer, str]


def test_every_input_is_labelled_in_order_and_learn_reads_it(
    work: Workplace, server: Server, make_texts: MakeTexts
) -> None:
    scripted, _ = server
    scripted.delay_s = 0.002
    texts = make_texts(100)
    more = {"gold": "billing", "split": "test", "note": 7, "output": "old", "votes": ["old"]}
    work.write([texts[0], {"input": texts[1], "id": "mine", **more}, *texts[2:]])
    receipt = work.label()
    lines = work.lines()
    assert [line["input"] for line in lines] == texts
    assert [line["output"] for line in lines] == [queue_of(text) for text in texts]
    assert lines[0]["id"] == "line-1"
    assert {key: lines[1][key] for key in ("id", "gold", "split", "note")} == {
        "id": "mine", "gold": "billing", "split": "test", "note": 7,
    }  # fmt: skip
    assert "votes" not in lines[1]
    report = ReadReport()
    calls = list(read_calls([work.out], report=report))
    assert report.n_refused == 0
    assert [call.output for call in calls] == [queue_of(text) for text in texts]
    assert all(call.cost_usd and call.usage.input_tokens and call.usage.output_tokens == 5 for call in calls)
    assert all(call.latency_ms and call.model == "large" and call.time is None for call in calls)
    assert receipt.is_complete
    assert receipt.facts["lines"]["labelled"] == 100
    assert receipt.facts["lines"]["off_schema"] == 0
    assert receipt.facts == json.loads((work.folder / "labelled.jsonl.receipt.json").read_text())
    assert not list(work.folder.glob("*.partial*"))


def test_the_receipt_is_what_the_server_billed(
    work: Workplace, server: Server, make_texts: MakeTexts
) -> None:
    work.write(make_texts(30))
    facts = work.label().facts
    assert Decimal(facts["money"]["cost_nanousd"]) / 10**9 == server[0].billed_usd
    teacher = facts["teachers"][0]
    assert teacher["tokens"]["output"] == 150
    assert teacher["tokens"]["cached"] is None
    assert "cached_tokens" in teacher["unknown"]
    assert teacher["calls"]["answered"] == 30
    assert sum(line["cost_usd"] for line in work.lines()) == pytest.approx(facts["money"]["cost_usd"])


def test_a_second_run_costs_nothing_and_says_so(
    work: Workplace, server: Server, make_texts: MakeTexts
) -> None:
    work.write(make_texts(20))
    work.label()
    first = work.out.read_bytes()
    receipt = work.label()
    assert len(server[0].bodies) == 20
    assert work.out.read_bytes() == first
    assert "every answer was in the cache" in "\n".join(receipt.brief())
    assert receipt.facts["money"]["cost_nanousd"] == 0
    for changed in ({"temperature": 0.5}, {"is_plain": True}, {"instructions": "Otherwise."}):
        before = len(server[0].bodies)
        work.label(**changed)
        assert len(server[0].bodies) == before + 20
    work.label("other")
    assert len(server[0].bodies) == 100


def test_the_request_is_what_was_promised(work: Workplace, server: Server) -> None:
    work.write(["a parcel"])
    work.label(temperature=0.3, max_tokens=77)
    body = server[0].bodies[0]
    assert body["messages"] == [
        {"role": "system", "content": "Sort the message."},
        {"role": "user", "content": "a parcel"},
    ]
    form = body["response_format"]["json_schema"]
    assert form["strict"] is True
    assert form["schema"]["properties"]["answer"]["enum"] == ["billing", "delivery"]
    assert (body["temperature"], body["max_tokens"], body["model"]) == (0.3, 77, "large")
    assert server[0].keys == [None]


def test_a_key_comes_from_the_environment_and_is_written_nowhere(
    work: Workplace, server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-secret-1")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-for-you")
    work.write(["a parcel"])
    caplog.set_level(0)
    options = LabelOptions(
        inputs=work.inputs,
        out=work.out,
        teachers=(TeacherOptions(work.url, "large", key_env="MY_KEY"),),
        task=QUEUE,
        cache=work.folder / "cache",
    )
    label(options)
    assert server[0].keys == ["Bearer sk-secret-1"]
    written = b"".join(path.read_bytes() for path in work.folder.rglob("*") if path.is_file())
    assert b"sk-" not in written
    assert "sk-" not in caplog.text


@pytest.mark.parametrize(
    "url",
    ["http://user:sk-1@127.0.0.1/v1", "http://127.0.0.1/v1?key=sk-1", "ftp://127.0.0.1/v1", "127.0.0.1:80"],
)
def test_a_bad_address_is_refused_without_showing_a_key(work: Workplace, url: str) -> None:
    work.write(["a parcel"])
    work.url = url
    with pytest.raises(ConfigError, match="address") as found:
        work.label()
    assert "sk-1" not in str(found.value)


def test_a_key_that_is_not_there_is_told_before_anything_is_sent(
    work: Workplace, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    work.write(["a parcel"])
    work.url = "https://api.openai.com/v1"
    with pytest.raises(ConfigError, match="OPENAI_API_KEY is not set"):
        work.label()


@pytest.mark.parametrize("answer_tokens", [None, 1024])
def test_the_budget_is_never_passed_with_16_under_way(
    work: Workplace, server: Server, make_texts: MakeTexts, answer_tokens: int | None
) -> None:
    scripted, _ = server
    scripted.answer_tokens, scripted.delay_s = answer_tokens, 0.003
    work.write(make_texts(300))
    receipt = work.label(max_usd="0.05", concurrency=16)
    assert scripted.most_inside > 4
    assert scripted.billed_usd <= Decimal("0.05")
    # All but what one more request might have cost was used.
    assert scripted.billed_usd > Decimal("0.047")
    assert receipt.facts["lines"]["not_asked"] == 300 - receipt.facts["lines"]["labelled"] > 0
    assert "--max-usd" in receipt.facts["stopped"]
    assert len(work.lines()) == receipt.facts["lines"]["labelled"]
    # The limit is for all runs of the command: again, nothing is sent; raised, it goes on.
    billed = scripted.billed_usd
    assert not work.label(max_usd="0.05", concurrency=16).is_complete
    assert scripted.billed_usd == billed
    assert work.label(max_usd="5", concurrency=16).is_complete
    assert max(scripted.asked.values()) == 1


@pytest.mark.usefixtures("quick_retries")
def test_what_may_have_been_billed_counts_against_the_budget(
    work: Workplace, server: Server, make_texts: MakeTexts
) -> None:
    scripted, _ = server
    scripted.script = ["hang", "garbage", "empty"] * 4
    work.write(make_texts(60))
    receipt = work.label(max_usd="0.03", concurrency=16, timeout_s=0.3)
    assert scripted.billed_usd <= Decimal("0.03")
    teacher = receipt.facts["teachers"][0]
    assert teacher["maybe_billed"]["tries"] >= 2
    assert teacher["calls"]["retries_by_reason"]["timeout"] >= 1


def test_a_limit_without_a_price_is_refused(work: Workplace, server: Server) -> None:
    work.write(["a parcel"])
    with pytest.raises(ConfigError, match="--max-usd cannot be kept"):
        work.label(price=None, max_usd="1")
    facts = work.label(price=None).facts
    assert facts["money"]["cost_usd"] is None
    assert "no price" in facts["money"]["reason"]
    assert work.lines()[0]["cost_usd"] is None
    # Once there is a price, an answer from the cache has its cost.
    work.label(price="1/2")
    assert work.lines()[0]["cost_usd"] > 0
    assert len(server[0].bodies) == 1


def test_a_reply_without_token_counts_has_no_cost_but_counts_in_full(
    work: Workplace, server: Server, make_texts: MakeTexts
) -> None:
    server[0].has_usage = False
    work.write(make_texts(40))
    facts = work.label(max_usd="0.02").facts
    assert facts["money"]["cost_usd"] is None
    assert "token counts" in facts["money"]["reason"]
    assert server[0].billed_usd <= Decimal("0.02")
    assert 0 < facts["lines"]["labelled"] < 40
    assert work.lines()[0]["usage"]["input_tokens"] is None


@pytest.mark.usefixtures("quick_retries")
def test_passing_failures_are_tried_again(work: Workplace, server: Server, make_texts: MakeTexts) -> None:
    scripted, _ = server
    scripted.script = [500, 503, 408, 529, "garbage"]
    work.write(make_texts(10))
    receipt = work.label()
    assert receipt.is_complete
    calls = receipt.facts["teachers"][0]["calls"]
    assert calls["retries"] == 5
    assert calls["retries_by_reason"]["http_500_server_error"] == 1
    assert calls["retries_by_reason"]["bad_reply"] == 1


def test_retry_after_is_kept_by_all_and_fewer_are_sent(
    work: Workplace, server: Server, make_texts: MakeTexts
) -> None:
    scripted, _ = server
    scripted.script = [{"retry-after": "0.6"}]
    work.write(make_texts(12))
    receipt = work.label(concurrency=1)
    assert receipt.is_complete
    assert scripted.times[1] - scripted.times[0] >= 0.6
    teacher = receipt.facts["teachers"][0]
    assert teacher["slow_downs"] == 1
    assert teacher["calls"]["retries_by_reason"] == {"http_429_rate_limit_exceeded": 1}


def test_an_allowance_that_is_used_up_is_waited_for(
    work: Workplace, server: Server, make_texts: MakeTexts
) -> None:
    scripted, _ = server
    scripted.headers = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "300ms"}
    work.write(make_texts(3))
    assert work.label(concurrency=1).is_complete
    gaps = [later - earlier for earlier, later in zip(scripted.times, scripted.times[1:], strict=False)]
    assert min(gaps) >= 0.29


def test_a_server_that_limits_concurrency_is_learnt_from(
    work: Workplace, server: Server, make_texts: MakeTexts
) -> None:
    scripted, _ = server
    scripted.script = [{"retry-after": "0.05"}] * 8
    scripted.delay_s = 0.002
    work.write(make_texts(40))
    receipt = work.label(concurrency=8)
    assert receipt.is_complete
    assert receipt.facts["teachers"][0]["slow_downs"] == 8
    assert max(scripted.asked.values()) == 1


@pytest.mark.usefixtures("quick_retries")
def test_what_fails_in_the_end_is_written_without_an_output_and_asked_again(
    work: Workplace, server: Server, make_texts: MakeTexts
) -> None:
    scripted, _ = server
    texts = make_texts(6)
    scripted.by_text = {texts[0]: ["empty"], texts[1]: [400], texts[2]: [500, 500, 500]}
    work.write(texts)
    receipt = work.label(retries=2, concurrency=1)
    lines = work.lines()
    assert [line.get("error") for line in lines] == [
        "empty_answer", "http_400_server_error", "http_500_server_error", None, None, None,
    ]  # fmt: skip
    assert all(("output" in line) != ("error" in line) for line in lines)
    assert (receipt.n_missing, receipt.facts["lines"]["failed"]) == (3, 3)
    calls = list(read_calls([work.out]))
    assert sum(bool(call.output) for call in calls) == 3
    assert work.label(retries=2).is_complete
    assert [line["output"] for line in work.lines()] == [queue_of(text) for text in texts]
    # The server counts an empty answer, which was not one, and then each input once.
    assert [scripted.asked[f"large: {text}"] for text in texts] == [2, 1, 1, 1, 1, 1]


def test_errors_show_no_text_of_an_input(work: Workplace, server: Server) -> None:
    server[0].script = [400] * 20
    work.write([f"my secret number {at}" for at in range(20)])
    with pytest.raises(ConfigError, match="refused the first 8 requests") as found:
        work.label(concurrency=2)
    assert "secret" not in str(found.value)
    assert "--plain" in str(found.value)
    assert not work.out.exists()
    assert not list(work.folder.glob("*.partial*"))


def test_a_wrong_key_stops_the_job_at_once(work: Workplace, server: Server, make_texts: MakeTexts) -> None:
    server[0].script = [401] * 100
    work.write(make_texts(100))
    with pytest.raises(ConfigError, match="refuses all requests"):
        work.label(concurrency=4)
    assert len(server[0].bodies) <= 4


@pytest.mark.usefixtures("quick_retries")
def test_a_server_that_went_away_stops_the_job_and_keeps_what_is_done(
    work: Workplace, server: Server, make_texts: MakeTexts
) -> None:
    scripted, _ = server
    work.write(make_texts(10))
    work.label()
    work.write(make_texts(200))
    scripted.script = [500] * 1000
    receipt = work.label(retries=1)
    assert "in a row failed" in receipt.facts["stopped"]
    assert receipt.facts["lines"]["labelled"] == 10
    assert receipt.facts["lines"]["not_asked"] > 100
    assert len(scripted.bodies) < 100


@pytest.mark.usefixtures("quick_retries")
def test_nobody_at_the_address(work: Workplace) -> None:
    work.write(["a parcel"])
    work.url = "http://127.0.0.1:9/v1"
    receipt = work.label(retries=1, max_usd="1")
    assert work.lines()[0]["error"] == "no_connection"
    # Nothing was sent, so nothing was billed.
    assert receipt.facts["money"]["counted_against_max_nanousd"] == 0


def test_answers_off_the_schema_are_kept_and_counted(work: Workplace, server: Server) -> None:
    said = {"a": "billing", "b": {"answer": "neither"}, "c": {"queue": "billing"}, "d": "I cannot say."}
    server[0].say = lambda text, _: said[text]
    work.write(list(said))
    receipt = work.label()
    assert [line["output"] for line in work.lines()] == [
        "billing", "neither", {"queue": "billing"}, "I cannot say.",
    ]  # fmt: skip
    assert receipt.facts["lines"]["off_schema"] == 3
    assert receipt.facts["lines"]["off_schema_by_reason"] == {"answer: not one of the labels": 3}
    assert receipt.is_complete


def test_half_a_surrogate_pair_and_absurd_counts_do_no_harm(
    work: Workplace, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = Task("t", (Field("answer", "text"),), instructions="Say.")
    server[0].say = lambda _text, _: '{"answer": "half \\ud83d of it"}'
    server[0].answer_tokens = 10**30
    work.write(["a"])
    receipt = work.label(task=task)
    assert work.lines()[0]["output"] == "half \ud83d of it"
    assert receipt.facts["teachers"][0]["tokens"]["output"] is None
    assert receipt.facts["money"]["cost_usd"] is None


def test_rationales_are_kept_beside_the_answer(work: Workplace, server: Server) -> None:
    task = Task("t", (Field("reason", "text"), Field("n", "number")), instructions="Count.")
    server[0].say = lambda _text, _: {"rationale": "two words", "reason": "x", "n": 2}
    work.write(["a b"])
    work.label(task=task, has_rationale=True)
    line = work.lines()[0]
    assert line["output"] == {"reason": "x", "n": 2}
    assert line["rationale"] == "two words"
    properties = server[0].bodies[0]["response_format"]["json_schema"]["schema"]["properties"]
    assert list(properties) == ["rationale", "reason", "n"]
    assert next(iter(read_calls([work.out]))).rationale == "two words"


def test_records_are_asked_line_by_line(work: Workplace, server: Server) -> None:
    task = Task(
        "t",
        (Field("answer", "choice", ("billing", "delivery")),),
        ("premise", "hypothesis"),
        instructions="Sort.",
    )
    record = {"hypothesis": "an invoice", "premise": "A"}
    work.write([{**record, "id": 5, "gold": "billing"}, {"input": record}])
    work.label(task=task, concurrency=1)
    assert server[0].bodies[0]["messages"][1]["content"] == "premise: A\nhypothesis: an invoice"
    first, second = work.lines()
    assert first["input"] == record
    assert (first["id"], first["gold"], second["output"]) == ("5", "billing", "billing")
    assert len(server[0].bodies) == 1  # the same question is asked once


def test_lines_that_are_no_inputs_are_counted_and_left_out(work: Workplace, server: Server) -> None:
    bad = [
        "",
        "{",
        "[1]",
        "7",
        '{"text": "a"}',
        '{"input": null}',
        '""',
        '{"input": {"a": "b"}}',
        '"\\ud800"',
    ]
    work.inputs.write_text("\n".join([*bad, '"a parcel"']), encoding="utf-8")
    receipt = work.label()
    assert len(work.lines()) == 1
    assert receipt.facts["lines"]["refused"] == len(bad) - 1
    assert receipt.facts["lines"]["refused_by_reason"]["broken JSON"]["first"] == ["inputs.jsonl:2"]
    assert not receipt.is_complete
    work.inputs.write_text("\n".join(bad), encoding="utf-8")
    with pytest.raises(DataError, match="nothing to label"):
        work.label()


def test_repeats_become_votes(work: Workplace, server: Server, make_texts: MakeTexts) -> None:
    scripted, _ = server
    count = [0]

    def say(_text: str, _model: str) -> Any:
        count[0] += 1
        return {"answer": "billing" if count[0] % 2 else "delivery"}

    scripted.say = say
    texts = make_texts(40)
    work.write(texts)
    receipt = work.label(repeats=3, temperature=1.0)
    lines = work.lines()
    assert all(len(line["votes"]) == 2 for line in lines)
    assert len({line["votes"][0] for line in lines}) == 2
    assert receipt.facts["teachers"][0]["calls"]["answered"] == 120
    # A line costs what one call costs: that is what the application would pay.
    assert sum(line["cost_usd"] for line in lines) < receipt.facts["money"]["cost_usd"] / 2
    assert [len(call.votes) for call in read_calls([work.out])] == [2] * 40
    assert work.label(repeats=3, temperature=1.0).facts["money"]["cost_nanousd"] == 0
    # The first answer is that of a run without repeats.
    outputs = [line["output"] for line in lines]
    work.label(temperature=1.0)
    assert [line["output"] for line in work.lines()] == outputs


def test_a_share_of_inputs_is_repeated_the_same_one_every_time(
    work: Workplace, server: Server, make_texts: MakeTexts
) -> None:
    work.write(make_texts(200))
    work.label(repeats=2, repeat_share=0.25)
    chosen = {line["input"] for line in work.lines() if "votes" in line}
    assert 30 <= len(chosen) <= 70
    work.write(make_texts(200)[::-1])
    work.label(repeats=2, repeat_share=0.25)
    assert {line["input"] for line in work.lines() if "votes" in line} == chosen
    work.label(repeats=2, repeat_share=0.25, seed=1)
    assert {line["input"] for line in work.lines() if "votes" in line} != chosen


def test_files_of_others_are_not_overwritten(work: Workplace, server: Server, tmp_path: Path) -> None:
    work.write(["a parcel"])
    work.out.write_text("mine\n")
    with pytest.raises(ConfigError, match="not from this command"):
        work.label()
    work.out = work.inputs
    with pytest.raises(ConfigError, match="overwrite the inputs"):
        work.label()
    assert work.inputs.read_text() == '"a parcel"\n'


def test_two_runs_do_not_write_the_same_output(work: Workplace) -> None:
    from understudy.teachers.output import LabelFile

    work.write(["a parcel"])
    with LabelFile(work.out, work.inputs), pytest.raises(ConfigError, match="another run"):
        work.label()


def test_options_are_checked(work: Workplace) -> None:
    work.write(["a parcel"])
    for wrong in (
        {"repeats": 0}, {"concurrency": 0}, {"retries": -1}, {"timeout_s": 0.0}, {"repeat_share": 0.0}, {"pick": 0},
        {"temperature": 3.0}, {"max_tokens": 0}, {"artefact": Path("x")}, {"max_usd": "much"}, {"instructions": " "},
    ):  # fmt: skip
        with pytest.raises(ConfigError):
            work.label(**wrong)
