"""The official client, unmodified, against a served artefact with an upstream behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import openai
import pytest
from pydantic import BaseModel

from serving.conftest import Served
from serving.upstream_app import FORMAT, ScriptedUpstream, chat_request, teacher

SURE, UNSURE = "courier parcel is late again", "zebra quartz xylophone"
Upstream = tuple[ScriptedUpstream, str]
Serve = Callable[..., Served]


class Triage(BaseModel):
    queue: Literal["delivery", "billing", "returns", "other"]
    urgent: bool


def client(served: Served, **more: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=served.base_url, api_key="unused", max_retries=0, **more)


def test_sure_calls_are_answered_here_and_unsure_ones_upstream(
    plain_artefact: Path, upstream: Upstream, serve: Serve
) -> None:
    scripted, url = upstream
    served = serve(plain_artefact, upstream_url=url)
    with client(served) as api:
        sure = api.chat.completions.with_raw_response.create(**chat_request(SURE))
        unsure = api.chat.completions.with_raw_response.create(**chat_request(UNSURE))
    assert sure.parse().choices[0].message.content == "delivery"
    assert sure.parse().model == "gpt-4o-mini"
    assert sure.headers["x-understudy-answered-by"] == "student"
    assert float(sure.headers["x-understudy-saved-usd"]) == pytest.approx(7.8e-6, rel=0.02)
    assert unsure.parse().choices[0].message.content == teacher(f"Message: {UNSURE}")
    assert unsure.headers["x-understudy-answered-by"] == "upstream"
    assert len(scripted.seen) == 1
    one, two = served.rows()
    assert (one.answered_by, one.teacher_cost_nanousd, one.input_tokens) == ("student", 7_800, None)
    assert (two.answered_by, two.cost_nanousd, two.input_tokens) == ("upstream", 46_000, 40)
    assert one.request is None
    assert two.response is None


def test_streams(plain_artefact: Path, upstream: Upstream, serve: Serve) -> None:
    _, url = upstream
    served = serve(plain_artefact, upstream_url=url)
    with client(served) as api:
        for text, wanted in ((SURE, "delivery"), (UNSURE, teacher(f"Message: {UNSURE}"))):
            request = chat_request(text, stream=True, stream_options={"include_usage": True})
            pieces, usage = [], None
            for chunk in api.chat.completions.create(**request):
                pieces += [choice.delta.content or "" for choice in chunk.choices]
                usage = chunk.usage or usage
            assert "".join(pieces) == wanted
            assert usage is not None
    one, two = served.rows()
    assert (one.answered_by, one.is_streamed) == ("student", True)
    assert (two.answered_by, two.is_streamed, two.cost_nanousd) == ("upstream", True, 46_000)


def test_parse_with_a_pydantic_model(json_artefact: Path, upstream: Upstream, serve: Serve) -> None:
    _, url = upstream
    served = serve(json_artefact, upstream_url=url)
    request = chat_request(f"{SURE} now", response_format=FORMAT)
    with client(served) as api:
        whole = api.chat.completions.with_raw_response.create(**request)
        assert Triage.model_validate_json(whole.parse().choices[0].message.content or "").queue == "delivery"
        assert whole.headers["x-understudy-answered-by"] == "student"
        # The client makes a schema of its own from the model: not the one of the log, so it goes upstream.
        parsed = api.chat.completions.parse(**{**request, "response_format": Triage})
    assert parsed.choices[0].message.parsed == Triage(queue="delivery", urgent=True)
    assert [row.answered_by for row in served.rows()] == ["student", "upstream"]


def test_parse_is_answered_here_when_the_log_holds_the_client_s_own_schema(
    tmp_path: Path, upstream: Upstream, serve: Serve
) -> None:
    from openai.lib._parsing._completions import type_to_response_format_param

    from serving.conftest import learn_from_log

    artefact = learn_from_log(tmp_path, "parsed", response_format=type_to_response_format_param(Triage))
    served = serve(artefact, upstream_url=upstream[1])
    with client(served) as api:
        parsed = api.chat.completions.parse(**{**chat_request(f"{SURE} now"), "response_format": Triage})
        with api.chat.completions.stream(**{**chat_request(SURE), "response_format": Triage}) as stream:
            final = stream.get_final_completion()
        answer = api.responses.parse(
            model="gpt-4o-mini",
            input=[
                {"role": one["role"], "content": one["content"]} for one in chat_request(SURE)["messages"]
            ],
            text_format=Triage,
        )
    assert parsed.choices[0].message.parsed == Triage(queue="delivery", urgent=True)
    assert final.choices[0].message.parsed == Triage(queue="delivery", urgent=False)
    assert answer.output_parsed == Triage(queue="delivery", urgent=False)
    assert [row.answered_by for row in served.rows()] == ["student"] * 3


def test_responses_api_whole_and_streamed(plain_artefact: Path, serve: Serve) -> None:
    served = serve(plain_artefact)
    asked = {
        "model": "gpt-4o-mini",
        "instructions": "Route the message to a queue.",
        "input": f"Message: {SURE}",
    }
    with client(served) as api:
        whole = api.responses.create(**asked)
        assert whole.output_text == "delivery"
        with api.responses.stream(**asked) as stream:
            kinds = [event.type for event in stream]
            assert stream.get_final_response().output_text == "delivery"
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"


def test_a_task_by_name(plain_artefact: Path, upstream: Upstream, serve: Serve) -> None:
    scripted, url = upstream
    served = serve(plain_artefact, upstream_url=url)
    with client(served) as api:
        names = [model.id for model in api.models.list()]
        assert names == ["gpt-4o-mini", "understudy/queue"]
        messages = [{"role": "user", "content": SURE}]
        sure = api.chat.completions.create(model="understudy/queue", messages=messages, n=2)
        assert [choice.message.content for choice in sure.choices] == ["delivery", "delivery"]
        api.chat.completions.create(model="understudy/queue", messages=[{"role": "user", "content": UNSURE}])
        with pytest.raises(openai.NotFoundError):
            api.chat.completions.create(model="understudy/nothing", messages=messages)
    # The name means nothing upstream: the model that the log named is asked.
    assert b'"model": "gpt-4o-mini"' in scripted.seen[-1][2]


def test_async_client_with_many_at_once(plain_artefact: Path, upstream: Upstream, serve: Serve) -> None:
    served = serve(plain_artefact, upstream_url=upstream[1])

    async def ask() -> list[str | None]:
        async with openai.AsyncOpenAI(base_url=served.base_url, api_key="unused", max_retries=0) as api:
            texts = [SURE, UNSURE] * 20
            replies = await asyncio.gather(
                *(api.chat.completions.create(**chat_request(text)) for text in texts)
            )
            return [reply.choices[0].message.content for reply in replies]

    assert asyncio.run(ask()) == ["delivery", teacher(f"Message: {UNSURE}")] * 20
    rows = served.rows()
    assert len(rows) == 40
    assert sum(row.answered_by == "student" for row in rows) == 20


def test_embeddings_and_other_requests_pass_byte_for_byte(
    plain_artefact: Path, upstream: Upstream, serve: Serve
) -> None:
    import httpx

    scripted, url = upstream
    served = serve(plain_artefact, upstream_url=url)
    odd = b'{"model":"gpt-4o-mini",  "messages":[{"role":"user","content":"\\u00e9 something else"}], "seed": 7}'
    reply = httpx.post(
        f"{served.base_url}/chat/completions", content=odd, headers={"content-type": "application/json"}
    )
    assert reply.status_code == 200
    assert scripted.seen[-1][2] == odd
    with client(served) as api:
        assert api.embeddings.create(model="e", input="x").usage.prompt_tokens == 5
    form = httpx.post(f"{served.base_url}/audio/transcriptions", files={"file": ("a.wav", b"RIFF\0\xff")})
    assert b"RIFF\0\xff" in form.content
    assert [row.task for row in served.rows()] == [None, None, None]
