"""The limiter on a clock of its own, and what headers say."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.teachers.limiter import LONGEST_WAIT_S, Limiter
from understudy.teachers.rate_limits import RateLimits, parse_wait_s, read_rate_limits
from understudy.teachers.teacher import AskFailedError

NOTHING = RateLimits()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1", 1.0), ("0.5", 0.5), ("20ms", 0.02), ("1s", 1.0), ("6m0s", 360.0), ("1h2m3.5s", 3723.5), ("2m59.56s", 179.56),
        ("", None), ("soon", None), ("-3", None), ("nan", None), ("inf", None), ("1s?", None), ("1e30", None),
    ],
)  # fmt: skip
def test_waits_are_read_in_their_spellings(text: str, seconds: float | None) -> None:
    assert parse_wait_s(text) == (None if seconds is None else pytest.approx(seconds))


def test_waits_are_read_from_times() -> None:
    then = datetime.now(UTC) + timedelta(seconds=100)
    for text in (
        format_datetime(then, usegmt=True),
        then.isoformat(),
        str(time.time() + 100),
        str(int((time.time() + 100) * 1000)),
    ):
        found = parse_wait_s(text)
        assert found is not None
        assert 90 < found <= 101


@given(st.dictionaries(st.sampled_from(["retry-after", "x-ratelimit-remaining-requests"]), st.text()))
def test_no_header_is_an_error(headers: dict[str, str]) -> None:
    read_rate_limits(headers)


def test_headers_are_read() -> None:
    assert read_rate_limits(
        {
            "retry-after-ms": "250",
            "retry-after": "1",
            "x-ratelimit-remaining-requests": "3",
            "x-ratelimit-reset-requests": "1m",
            "x-ratelimit-remaining-tokens": "7",
            "x-ratelimit-reset-tokens": "2s",
        }
    ) == RateLimits(0.25, 3, 60.0, 7, 2.0)


def test_the_limit_halves_once_a_round_and_grows_slowly() -> None:
    async def run() -> None:
        limiter = Limiter(8)
        tickets = [await limiter.enter(1) for _ in range(8)]
        for ticket in tickets:
            limiter.leave(ticket, NOTHING, is_answered=False, is_slow_down=True)
        assert limiter.limit == 4
        assert limiter.n_slow_downs == 8
        for expected in (4.25, 4.485):
            limiter.leave(await limiter.enter(1), NOTHING, is_answered=True, is_slow_down=False)
            assert limiter.limit == pytest.approx(expected, abs=0.01)
        for _ in range(10):
            limiter.leave(await limiter.enter(1), NOTHING, is_answered=False, is_slow_down=True)
        assert limiter.limit == 1
        for _ in range(100):
            limiter.leave(await limiter.enter(1), NOTHING, is_answered=True, is_slow_down=False)
        assert limiter.limit == 8

    asyncio.run(run())


def held(limiter: Limiter, n_tokens: int = 1) -> bool:
    return limiter._hold_s(n_tokens) > 0


def test_nothing_is_sent_before_the_time_that_was_named() -> None:
    async def run() -> None:
        now = [0.0]
        limiter = Limiter(8, clock=lambda: now[0])
        ticket = await limiter.enter(1)
        limiter.leave(ticket, RateLimits(retry_after_s=30), is_answered=False, is_slow_down=True)
        now[0] = 29.9
        assert held(limiter)
        now[0] = 30.1
        assert not held(limiter)

    asyncio.run(run())


def test_the_allowance_of_requests_and_tokens_is_kept() -> None:
    async def run() -> None:
        now = [0.0]
        limiter = Limiter(8, clock=lambda: now[0])
        first, second = await limiter.enter(10), await limiter.enter(10)
        said = RateLimits(requests_left=2, requests_reset_s=60, tokens_left=100, tokens_reset_s=5)
        # The second was sent after the first: what the reply to the first says does not count it yet.
        limiter.leave(first, said, is_answered=True, is_slow_down=False)
        assert not held(limiter, 90)
        assert held(limiter, 91)
        now[0] = 5.1
        assert not held(limiter, 91)
        third = await limiter.enter(10)
        assert held(limiter)
        # Old news does not help, fresh news does.
        limiter.leave(second, NOTHING, is_answered=True, is_slow_down=False)
        assert held(limiter)
        limiter.leave(
            third, RateLimits(requests_left=5, requests_reset_s=1), is_answered=True, is_slow_down=False
        )
        assert not held(limiter)

    asyncio.run(run())


def test_a_wait_of_hours_ends_the_job_instead() -> None:
    async def run() -> None:
        limiter = Limiter(1)
        said = RateLimits(retry_after_s=LONGEST_WAIT_S + 100)
        limiter.leave(await limiter.enter(1), said, is_answered=False, is_slow_down=True)
        with pytest.raises(AskFailedError, match="asked_to_wait") as found:
            await limiter.enter(1)
        assert found.value.is_same_for_all

    asyncio.run(run())
