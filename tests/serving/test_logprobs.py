"""Log-probabilities: whose they are, what they mean, and when they go upstream."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from serving.conftest import Served
from serving.test_openai_client import SURE, UNSURE, Upstream, client
from serving.upstream_app import FORMAT, chat_request
from understudy.serving.likelihood import LEAST_LOGPROB, logprobs_of
from understudy.serving.requests import read_request
from understudy.serving.settings import TaskSettings

Serve = Callable[..., Served]


def test_a_student_gives_its_own_where_the_operator_says_so(
    plain_artefact: Path, upstream: Upstream, serve: Serve
) -> None:
    served = serve(tasks=(TaskSettings(plain_artefact, has_logprobs=True),), upstream_url=upstream[1])
    with client(served) as api:
        request = chat_request(SURE, logprobs=True, top_logprobs=2)
        raw = api.chat.completions.with_raw_response.create(**request)
        choice = raw.parse().choices[0]
        assert choice.logprobs is not None
        assert choice.logprobs.content is not None
        (item,) = choice.logprobs.content
        assert item.token == choice.message.content == "delivery"
        assert bytes(item.bytes or []) == b"delivery"
        assert math.exp(item.logprob) == pytest.approx(
            float(raw.headers["x-understudy-confidence"]), abs=1e-6
        )
        top = item.top_logprobs
        assert len(top) == 2
        assert (top[0].token, top[0].logprob) == (item.token, item.logprob)
        assert top[1].logprob < top[0].logprob
        bare = api.chat.completions.create(**chat_request(SURE, logprobs=True, n=2))
        assert [one.logprobs.content[0].top_logprobs for one in bare.choices] == [[], []]  # type: ignore[union-attr,index]
        every = api.chat.completions.create(**chat_request(SURE, logprobs=True, top_logprobs=20))
        listed = every.choices[0].logprobs.content[0].top_logprobs  # type: ignore[union-attr,index]
        assert sum(math.exp(one.logprob) for one in listed) == pytest.approx(1.0)
        with api.chat.completions.stream(**request) as stream:
            final = stream.get_final_completion().choices[0]
        assert final.logprobs is not None
        assert final.logprobs.content is not None
        assert final.logprobs.content[0].token == "delivery"
        assert api.chat.completions.create(**chat_request(SURE)).choices[0].logprobs is None
    assert not upstream[0].seen


@pytest.mark.parametrize(
    ("has_logprobs", "more"),
    [
        (False, {"logprobs": True}),
        (True, {"logprobs": True, "top_logprobs": 21}),
        (True, {"top_logprobs": 2}),
        (True, {"logprobs": True, "stop": ["very"]}),
    ],
)
def test_what_is_not_the_student_s_to_give_goes_upstream(
    plain_artefact: Path, upstream: Upstream, serve: Serve, has_logprobs: bool, more: dict[str, Any]
) -> None:
    tasks = (TaskSettings(plain_artefact, has_logprobs=has_logprobs),)
    served = serve(tasks=tasks, upstream_url=upstream[1])
    with client(served) as api:
        raw = api.chat.completions.with_raw_response.create(**chat_request(SURE, **more))
    assert raw.headers["x-understudy-answered-by"] == "upstream"
    assert json.loads(upstream[0].seen[0][2]) == chat_request(SURE, **more)


def test_several_fields_have_no_single_probability(
    json_artefact: Path, upstream: Upstream, serve: Serve
) -> None:
    served = serve(tasks=(TaskSettings(json_artefact, has_logprobs=True),), upstream_url=upstream[1])
    with client(served) as api:
        request = chat_request(SURE, response_format=FORMAT)
        sure = api.chat.completions.with_raw_response.create(**request)
        asking = api.chat.completions.with_raw_response.create(**request, logprobs=True)
    assert sure.headers["x-understudy-answered-by"] == "student"
    assert asking.headers["x-understudy-answered-by"] == "upstream"


def test_an_unsure_answer_that_nobody_else_can_give_has_them_too(plain_artefact: Path, serve: Serve) -> None:
    served = serve(tasks=(TaskSettings(plain_artefact, has_logprobs=True),), when_alone="answer")
    with client(served) as api:
        choice = api.chat.completions.create(**chat_request(UNSURE, logprobs=True)).choices[0]
    assert choice.logprobs is not None
    assert choice.logprobs.content is not None
    assert choice.logprobs.content[0].token == choice.message.content


def test_an_answer_in_json_is_one_item() -> None:
    chances = [("späť", 0.75), ("no", 0.25), (None, 0.0)]

    def said(value: Any) -> str:
        return json.dumps({"queue": value}, ensure_ascii=False)

    found = logprobs_of('{"queue": "späť"}', chances, said, 20)
    assert found is not None
    (item,) = found["content"]
    assert bytes(item["bytes"]).decode() == item["token"] == '{"queue": "späť"}'
    assert [one["logprob"] for one in item["top_logprobs"]] == [
        math.log(0.75),
        math.log(0.25),
        LEAST_LOGPROB,
    ]
    assert logprobs_of("something else", chances, said, 20) is None
    only = logprobs_of('{"queue": "no"}', chances, lambda value: said(value) if value else None, 20)
    assert only is not None
    assert len(only["content"][0]["top_logprobs"]) == 2


@pytest.mark.parametrize(
    ("path", "more", "wanted"),
    [
        ("chat/completions", {}, (None, None)),
        ("chat/completions", {"logprobs": False}, (None, None)),
        ("chat/completions", {"logprobs": None, "top_logprobs": None}, (None, None)),
        ("chat/completions", {"logprobs": True}, (0, None)),
        ("chat/completions", {"logprobs": True, "top_logprobs": 5}, (5, None)),
        ("chat/completions", {"logprobs": True, "top_logprobs": True}, (None, "logprobs")),
        ("chat/completions", {"logprobs": 1}, (None, "logprobs")),
        ("chat/completions", {"logprobs": True, "top_logprobs": -1}, (None, "logprobs")),
        ("responses", {"top_logprobs": 5}, (None, "logprobs")),
    ],
)
def test_what_a_request_asks_for(
    path: str, more: dict[str, Any], wanted: tuple[int | None, str | None]
) -> None:
    body = {**chat_request("x"), **more} if path != "responses" else {"model": "m", "input": "x", **more}
    asked = read_request(path, body)
    assert asked is not None
    assert (asked.n_logprobs, asked.blocker) == wanted
