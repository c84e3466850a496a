"""Students that write, behind the official client: whole, live, deferred, cut, left."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from scripted_writer import (
    TOKEN_CHARS,
    UNSURE_WORD,
    RoteWriter,
    register_rote,
    write_rote_artefact,
    written_for,
)
from serving.conftest import Served
from serving.test_openai_client import Serve, Upstream, client
from serving.upstream_app import teacher
from understudy.serving.app import Server

SURE, UNSURE = "where is my parcel 包裹", f"zebra {UNSURE_WORD}"
Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    monkeypatch.syspath_prepend(register_rote(tmp_path / "site"))
    return lambda **given: write_rote_artefact(tmp_path / "rote", **given)


def asked(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "understudy/reply", "messages": [{"role": "user", "content": text}], **more}


def rote(server: Server) -> RoteWriter:
    found = server.registry.current.tasks["reply"].model.cascade.components["writer"]
    assert isinstance(found, RoteWriter)
    return found


def tokens_of(text: str) -> int:
    return -(-len(text) // TOKEN_CHARS)


def heard(chunks: Any) -> tuple[list[str], str | None, Any]:
    """Pieces, the reason of the end, and the usage of a stream."""
    pieces, finish, usage = [], None, None
    for chunk in chunks:
        for choice in chunk.choices:
            pieces += [choice.delta.content] if choice.delta.content else []
            finish = choice.finish_reason or finish
        usage = chunk.usage or usage
    return pieces, finish, usage


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_live_stream_is_the_whole_text_in_pieces(make: Make, serve: Serve) -> None:
    served = serve(make(threshold=0.0))
    with client(served) as api:
        whole = api.chat.completions.create(**asked(SURE))
        raw = api.chat.completions.with_raw_response.create(
            **asked(SURE, stream=True, stream_options={"include_usage": True})
        )
        pieces, finish, usage = heard(raw.parse())
    text = whole.choices[0].message.content
    assert text == written_for(SURE)
    assert pieces == [text[at : at + TOKEN_CHARS] for at in range(0, len(text), TOKEN_CHARS)]
    assert (whole.choices[0].finish_reason, finish) == ("stop", "stop")
    assert usage == whole.usage
    assert (usage.prompt_tokens, usage.completion_tokens) == (tokens_of(SURE), tokens_of(text))
    assert raw.headers["x-understudy-answered-by"] == "student"
    one, two = served.rows()
    assert (one.answered_by, one.rung, one.is_streamed) == ("student", "writer", False)
    assert (two.answered_by, two.rung, two.is_streamed) == ("student", "writer", True)
    assert one.confidence == two.confidence == pytest.approx(0.9)


def test_responses_whole_and_live(make: Make, serve: Serve) -> None:
    served = serve(make(threshold=0.0))
    with client(served) as api:
        whole = api.responses.create(model="understudy/reply", input=SURE)
        with api.responses.stream(model="understudy/reply", input=SURE) as stream:
            events = list(stream)
            final = stream.get_final_response()
        short = api.responses.create(model="understudy/reply", input=SURE, max_output_tokens=2)
    assert whole.output_text == final.output_text == written_for(SURE)
    assert final.usage == whole.usage
    assert sum(event.type == "response.output_text.delta" for event in events) == tokens_of(written_for(SURE))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert (short.status, short.output_text) == ("incomplete", written_for(SURE)[: 2 * TOKEN_CHARS])
    assert short.incomplete_details is not None
    assert short.incomplete_details.reason == "max_output_tokens"


def test_an_unsure_text_is_never_begun_but_goes_upstream(
    make: Make, upstream: Upstream, serve: Serve
) -> None:
    served = serve(make(threshold=0.5), upstream_url=upstream[1])
    with client(served) as api:
        sure = heard(api.chat.completions.create(**asked(SURE, stream=True)))
        unsure = heard(api.chat.completions.create(**asked(UNSURE, stream=True)))
    assert sure[0] == [written_for(SURE)]  # in one piece: it was known only at its end that it is answered
    assert "".join(unsure[0]) == teacher(UNSURE)
    assert rote(served.server).n_tokens == 0
    assert [(row.answered_by, row.is_streamed) for row in served.rows()] == [
        ("student", True),
        ("upstream", True),
    ]


def test_what_a_lookup_knows_is_streamed_without_writing(make: Make, serve: Serve) -> None:
    served = serve(make(threshold=0.0, first_answers={"known": "by heart"}))
    with client(served) as api:
        pieces, finish, usage = heard(
            api.chat.completions.create(**asked("known", stream=True, stream_options={"include_usage": True}))
        )
        whole = api.chat.completions.create(**asked("known"))
    assert (pieces, finish, usage.total_tokens) == (["by heart"], "stop", 0)
    assert (whole.choices[0].message.content, whole.usage) == ("by heart", usage)
    assert (rote(served.server).n_tokens, rote(served.server).sizes) == (0, [])
    assert [row.rung for row in served.rows()] == ["lookup", "lookup"]


def test_the_writing_ends_when_the_client_leaves(make: Make, serve: Serve) -> None:
    served = serve(make(threshold=0.0, seconds=0.01, most=5_000))
    writer = rote(served.server)
    with client(served) as api:
        stream = api.chat.completions.create(**asked("endless", stream=True))
        for _ in range(3):
            next(stream)
        stream.close()
    until(lambda: writer.n_closed == 1)
    assert writer.n_tokens < 1_000
    until(lambda: len(served.rows()) == 1)
    (row,) = served.rows()
    assert (row.answered_by, row.status, row.error, row.cost_nanousd) == ("failed", 499, "client_left", None)


@pytest.mark.parametrize(
    ("limits", "is_cut"),
    [
        ({"max_tokens": 4}, True),
        ({"max_completion_tokens": 4, "max_tokens": 999}, True),
        ({"max_tokens": 400}, False),
    ],
)
def test_a_limit_of_tokens_cuts_whole_and_streamed_alike(
    make: Make, serve: Serve, limits: dict[str, int], is_cut: bool
) -> None:
    served = serve(make(threshold=0.0))
    with client(served) as api:
        whole = api.chat.completions.create(**asked(SURE, **limits)).choices[0]
        pieces, finish, _ = heard(api.chat.completions.create(**asked(SURE, stream=True, **limits)))
    text = written_for(SURE)
    assert whole.message.content == "".join(pieces) == (text[: 4 * TOKEN_CHARS] if is_cut else text)
    assert whole.finish_reason == finish == ("length" if is_cut else "stop")
    assert (len(pieces) > 1) != is_cut  # what may have to be cut is not passed on while it is written


def test_a_text_that_the_student_itself_cut_says_so(make: Make, serve: Serve) -> None:
    served = serve(make(threshold=0.0, most=10))
    with client(served) as api:
        whole = api.chat.completions.create(**asked("endless")).choices[0]
        pieces, finish, _ = heard(api.chat.completions.create(**asked("endless", stream=True)))
    assert whole.message.content == "".join(pieces)
    assert len(pieces) == 10
    assert whole.finish_reason == finish == "length"


def test_stops_cut_and_samples_and_logprobs_go_upstream(make: Make, upstream: Upstream, serve: Serve) -> None:
    served = serve(make(threshold=0.0), upstream_url=upstream[1])
    with client(served) as api:
        pieces, finish, _ = heard(api.chat.completions.create(**asked(SURE, stream=True, stop=" —")))
        assert ("".join(pieces), finish) == (written_for(SURE).partition(" —")[0], "stop")
        api.chat.completions.create(**asked(SURE, temperature=1.0, seed=3))
        for more in ({"n": 2}, {"logprobs": True}, {"max_tokens": 0}):
            api.chat.completions.create(**asked(SURE, **more))
    assert [row.answered_by for row in served.rows()] == ["student"] * 2 + ["upstream"] * 3


def test_a_student_that_breaks_is_an_error_before_the_first_piece_and_a_broken_stream_after_it(
    make: Make, serve: Serve
) -> None:
    served = serve(make(threshold=0.0))
    with client(served) as api:
        for more in ({"stream": True}, {}):
            with pytest.raises(openai.InternalServerError):
                api.chat.completions.create(**asked("broken", **more))
        pieces = []
        with pytest.raises((openai.APIConnectionError, httpx.RemoteProtocolError)):
            pieces.extend(api.chat.completions.create(**asked("cracked", stream=True)))
    assert [chunk.choices[0].delta.content for chunk in pieces] == ["", "Rép"]
    assert [(row.status, row.error) for row in served.rows()] == [(500, "internal_error")]


def together(served: Served, count: int, **more: Any) -> list[Any]:
    async def ask() -> list[Any]:
        async with openai.AsyncOpenAI(base_url=served.base_url, api_key="unused", max_retries=0) as api:
            calls = (api.chat.completions.create(**asked(f"{SURE} {at}", **more)) for at in range(count))
            return await asyncio.gather(*calls)

    return asyncio.run(ask())


def test_many_at_once_are_written_together_and_each_gets_its_own(make: Make, serve: Serve) -> None:
    served = serve(make(threshold=0.0, seconds=0.002))
    replies = together(served, 40)
    assert [reply.choices[0].message.content for reply in replies] == [
        written_for(f"{SURE} {at}") for at in range(40)
    ]
    sizes = rote(served.server).sizes
    assert sum(sizes) == 40
    assert 1 < max(sizes) <= 8
    assert len(served.rows()) == 40


def test_who_leaves_while_waiting_is_not_written_for(make: Make, serve: Serve) -> None:
    served = serve(make(threshold=0.0, seconds=0.05))

    async def ask() -> None:
        async with httpx.AsyncClient(base_url=served.base_url) as api:
            first = asyncio.ensure_future(api.post("/chat/completions", json=asked(SURE)))
            while not rote(served.server).sizes:
                await asyncio.sleep(0.01)
            rest = [
                asyncio.ensure_future(api.post("/chat/completions", json=asked(f"{SURE} {at}")))
                for at in range(30)
            ]
            while served.server.room.in_work < 31:
                await asyncio.sleep(0.01)
            for one in rest:
                one.cancel()
            assert (await first).status_code == 200

    asyncio.run(ask())
    until(lambda: len(served.rows()) == 31)
    assert sorted(row.status for row in served.rows()) == [200] + [499] * 30
    assert sum(rote(served.server).sizes) < 31


def test_live_streams_take_turns(make: Make, serve: Serve) -> None:
    served = serve(make(threshold=0.0, seconds=0.002))

    async def ask() -> tuple[list[str], list[int]]:
        order: list[int] = []
        async with openai.AsyncOpenAI(base_url=served.base_url, api_key="unused", max_retries=0) as api:

            async def one(at: int) -> str:
                pieces = []
                async for chunk in await api.chat.completions.create(**asked(f"{SURE} {at}", stream=True)):
                    order.append(at)
                    pieces.append(chunk.choices[0].delta.content or "")
                return "".join(pieces)

            texts = await asyncio.gather(*(one(at) for at in range(12)))
        return texts, order

    texts, order = asyncio.run(ask())
    assert texts == [written_for(f"{SURE} {at}") for at in range(12)]
    assert len(set(order[: len(order) // 2])) == 12  # nobody waits for another's end
