"""OpenAI-style logs: requests with responses, batch files, stored completions, fine-tuning lines."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from understudy.calls.call import ABSENT
from understudy.calls.known_request import KnownRequest
from understudy.calls.readers import read_calls
from understudy.calls.report import ReadReport
from understudy.calls.template import find_template
from understudy.errors import ConfigError

TEXTS = ["the card is late", "where is it", "refund me", "hello there", "broken app", "thanks, bye"]


def read(paths: list[Path] | Path, **options: object) -> tuple[list, ReadReport]:
    report = ReadReport()
    paths = paths if isinstance(paths, list) else [paths]
    return list(read_calls(paths, report=report, **options)), report


def write(path: Path, rows: list[object]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def request(text: str, **more: object) -> dict:
    messages = [
        {"role": "system", "content": "Route the message."},
        {"role": "user", "content": "Message: ping"},
        {"role": "assistant", "content": "other"},
        {"role": "user", "content": f"Message: {text}\n\nAnswer with one word."},
    ]
    return {"model": "gpt-4o-mini", "messages": messages, **more}


def response(answer: object, **more: object) -> dict:
    usage = {"prompt_tokens": 20, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 8}}
    message = answer if isinstance(answer, dict) else {"role": "assistant", "content": answer}
    return {
        "model": "gpt-4o-mini-2024-07-18", "created": 1714521600, "usage": usage,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", **more}],
    }  # fmt: skip


def test_pairs_with_a_shared_template(tmp_path: Path) -> None:
    rows = [{"request": request(text), "response": response("cards"), "gold": "cards"} for text in TEXTS]
    calls, report = read(write(tmp_path / "a.jsonl", rows))
    assert report.formats == {"a.jsonl": "chat"}
    assert [call.input for call in calls] == TEXTS
    call = calls[0]
    assert call.output == call.gold == "cards"
    assert call.model == "gpt-4o-mini-2024-07-18"
    assert call.time == 1714521600
    assert (call.usage.input_tokens, call.usage.cached_tokens) == (20, 8)
    known = KnownRequest.from_text(call.messages_template)
    assert [role for role, _ in known.fixed] == ["system", "user", "assistant"]
    assert (known.prefix, known.suffix) == ("Message: ", "\n\nAnswer with one word.")
    assert len(report.templates) == 1


def test_a_request_that_does_not_fit_the_template_is_kept_whole_and_counted(tmp_path: Path) -> None:
    rows = [{"request": request(text), "response": response("a")} for text in TEXTS * 50]
    odd = {"messages": [{"role": "user", "content": "something else"}]}
    calls, report = read(write(tmp_path / "a.jsonl", [*rows, {"request": odd, "response": response("b")}]))
    assert calls[-1].input == "something else"
    assert sum(report.notes.values()) == 1
    assert len(report.templates) == 2


def test_labelled_parts_are_not_cut_off() -> None:
    users = [[("user", f"Premise: {text}.\nHypothesis: {text[::-1]}")] for text in TEXTS]
    assert find_template(users).prefix == ""


def test_instruction_lines_are_cut_at_a_line() -> None:
    users = [[("user", f'Classify.\nText: "{text}"\n\nLabel:')] for text in TEXTS]
    template = find_template(users)
    assert template.prefix == 'Classify.\nText: "'
    assert template.suffix == '"\n\nLabel:'
    assert template.cut(users[0])[0] == TEXTS[0]


def test_a_shared_word_is_no_template() -> None:
    users = [[("user", f"I think that {text}")] for text in TEXTS]
    template = find_template(users)
    assert (template.prefix, template.suffix) == ("", "")


def test_batch_files_are_joined(tmp_path: Path) -> None:
    asked = [
        {"custom_id": f"r{at}", "method": "POST", "body": request(text)} for at, text in enumerate(TEXTS)
    ]
    answered = [
        {
            "id": f"b{at}",
            "custom_id": f"r{at}",
            "response": {"status_code": 200, "body": response("x")},
            "error": None,
        }
        for at in (3, 0, 1)
    ]
    answered.append({"custom_id": "r2", "response": {"status_code": 500, "body": {}}, "error": None})
    answered.append({"custom_id": "r99", "response": {"status_code": 200, "body": response("x")}})
    one, two = write(tmp_path / "in.jsonl", asked), write(tmp_path / "out.jsonl", answered)
    for order in ([one, two], [two, one]):
        calls, report = read(order)
        assert [call.id for call in calls] == ["r3", "r0", "r1"]
        assert all(TEXTS[at] in call.input for at, call in zip((3, 0, 1), calls, strict=True))
        assert report.refused["the response is an error"].count == 1
        assert report.refused["no batch request with this custom_id"].count == 1
        assert report.notes["batch requests without an answer"] == 2
    with pytest.raises(ConfigError, match="one half"):
        read(one)


def test_stored_completions_and_fine_tuning_lines(tmp_path: Path) -> None:
    stored = {**response("yes"), "id": "chatcmpl-1", "messages": request("hm")["messages"]}
    tuning = {"messages": [*request("ho")["messages"], {"role": "assistant", "content": "no"}]}
    plain = {"messages": request("hi")["messages"], "output": "maybe"}
    evals = {"input": request("hu")["messages"], "output": {"role": "assistant", "content": "so"}}
    for row, answer in ((stored, "yes"), (tuning, "no"), (plain, "maybe"), (evals, "so")):
        calls, _ = read(write(tmp_path / "a.jsonl", [row]))
        assert calls[0].output == answer
        assert "Message: h" in calls[0].input


def test_responses_api(tmp_path: Path) -> None:
    row = {
        "request": {"model": "m", "instructions": "Route.", "input": "where is it"},
        "response": {
            "model": "m-1", "usage": {"input_tokens": 5, "output_tokens": 1},
            "output": [{"type": "reasoning"}, {"type": "message", "content": [{"type": "output_text", "text": "a"}]}],
        },
    }  # fmt: skip
    calls, _ = read(write(tmp_path / "a.jsonl", [row]))
    assert (calls[0].input, calls[0].output, calls[0].usage.input_tokens) == ("where is it", "a", 5)


def test_structured_answers_come_out_parsed(tmp_path: Path) -> None:
    tool = {"tool_calls": [{"function": {"name": "route", "arguments": '{"queue": "cards", "n": 1}'}}]}
    two = [{"type": "function", "function": {"name": name}} for name in ("route", "close")]
    schema = {"response_format": {"type": "json_schema", "json_schema": {"name": "r"}}}
    rows = [
        {"request": request("a", tools=two[:1]), "response": response(tool)},
        {"request": request("b", tools=two), "response": response(tool)},
        {"request": request("c", **schema), "response": response('{"queue": null}')},
        {"request": request("d", **schema), "response": response('{"queue": nu')},
        {
            "request": request("e"),
            "response": response({"role": "assistant", "content": None, "refusal": "No."}),
        },
    ]
    calls, _ = read(write(tmp_path / "a.jsonl", rows))
    assert [call.output for call in calls] == [
        {"queue": "cards", "n": 1},
        {"tool": "route", "arguments": {"queue": "cards", "n": 1}},
        {"queue": None},
        '{"queue": nu',
        "No.",
    ]


def test_log_probabilities_of_one_token_and_votes(tmp_path: Path) -> None:
    top = [{"token": "yes", "logprob": math.log(0.6)}, {"token": " yes", "logprob": math.log(0.1)},
           {"token": "no", "logprob": math.log(0.3)}]  # fmt: skip
    one = {"content": [{"token": "yes", "logprob": math.log(0.6), "top_logprobs": top}]}
    long = {"content": [{"token": "ye", "logprob": -0.1, "top_logprobs": top}] * 2}
    more = response("yes")
    more["choices"].append({"message": {"content": "no"}})
    rows = [
        {"request": request("a"), "response": response("yes", logprobs=one)},
        {"request": request("b"), "response": response("yes", logprobs=long)},
        {"request": request("c"), "response": more},
    ]
    calls, _ = read(write(tmp_path / "a.jsonl", rows))
    assert calls[0].label_probabilities == pytest.approx({"yes": 0.7, "no": 0.3})
    assert calls[1].label_probabilities is None
    assert calls[2].votes == ("no",)


def test_bad_chat_records_are_counted(tmp_path: Path) -> None:
    image = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "u"}}]}]
    rows = [
        {"request": request("good"), "response": response("a")},
        {"messages": image, "output": "a"},
        {"messages": [], "output": "a"},
        {"messages": [{"role": "system", "content": "x"}], "output": "a"},
        {"messages": ["text"], "output": "a"},
        {"messages": [{"role": "user"}], "output": "a"},
        {"request": request("x"), "response": {"error": {"message": "overloaded"}}},
        {"request": request("x"), "response": {"choices": []}},
        {"note": "no request"},
    ]
    calls, report = read(write(tmp_path / "a.jsonl", rows))
    assert len(calls) == 1
    assert report.n_refused == 8


def test_a_conversation_becomes_one_text(tmp_path: Path) -> None:
    turns = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "yes?"},
        {"role": "user", "content": "help"},
    ]
    calls, _ = read(write(tmp_path / "a.jsonl", [{"messages": turns, "output": "x"}]))
    assert calls[0].input == "user: hi\nassistant: yes?\nuser: help"


def test_mapped_output_beats_the_response(tmp_path: Path) -> None:
    row = {"request": request("a"), "response": response("x"), "label": "y"}
    assert read(write(tmp_path / "a.jsonl", [row]), mapping={"output": "label"})[0][0].output == "y"
    assert read(write(tmp_path / "a.jsonl", [{"messages": request("a")["messages"]}]))[0][0].output is ABSENT
