"""Asking one teacher: from the cache if it said it before, else within the budget and the rate limit, with retries.

The order for a new question: a place at the limiter, money set aside and written down, the request, the answer and
its cost stored in one step. Money for a try that may have been billed though no answer came is booked in full.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from understudy.economics.nano import NanoPrice
from understudy.errors import ConfigError
from understudy.teachers.budget import Budget
from understudy.teachers.cache import CachedAnswer, LabelCache, answer_key
from understudy.teachers.limiter import Limiter
from understudy.teachers.rate_limits import RateLimits
from understudy.teachers.tally import Tally
from understudy.teachers.teacher import AskFailedError, Reply, Teacher

__all__ = ["Asker", "NotAskedError", "Stop"]

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_MOST_REFUSED_AT_START = 8
_MOST_FAILED_IN_A_ROW = 20
_SERVER_TOKENS = 512
"""What a server may add to a request: a chat template, a system prompt of its own, the schema in its own words."""


class NotAskedError(Exception):
    """A question that was not put: the budget has no room for it, or the job has been stopped."""


@dataclass
class Stop:
    """Why no further question is put to anyone; ``None`` while all goes well.

    Attributes
    ----------
    reason
        The first reason to stop.
    is_budget_reached
        Whether a question did not fit the budget. Smaller ones may still.
    """

    reason: str | None = None
    is_budget_reached: bool = False

    def because(self, reason: str) -> None:
        """Stop, if nothing stopped it before."""
        if self.reason is None:
            self.reason = reason


@dataclass
class Asker:
    """One teacher in one job.

    Attributes
    ----------
    teacher
        Who is asked.
    limiter, budget, cache, stop
        Shared with nobody; with the other teachers; likewise; likewise.
    price
        ``None`` where it is unknown.
    job
        On whose behalf money is spent; see ``LabelCache``.
    max_tokens
        The longest answer that a request allows.
    retries
        Tries after the first.
    tally
        What happened.
    """

    teacher: Teacher
    limiter: Limiter
    budget: Budget
    cache: LabelCache
    stop: Stop
    price: NanoPrice | None
    job: bytes
    max_tokens: int
    retries: int = 6
    tally: Tally = field(default_factory=Tally)
    _n_under_way: dict[bytes, asyncio.Future[None]] = field(default_factory=dict)
    _added_tokens: int = _SERVER_TOKENS
    _longest_answer: int = 0

    async def answer(self, body: Mapping[str, Any], repeat: int = 0) -> CachedAnswer:
        """The teacher's answer to a request.

        Parameters
        ----------
        body
            The request.
        repeat
            Which of several answers to the same request.

        Raises
        ------
        AskFailedError
            If there is none after all tries.
        NotAskedError
            If it was not asked.
        ConfigError
            If the first request shows that none will be answered: a wrong key, address or model.
        """
        key = answer_key(self.teacher.address, self.teacher.model, body, repeat)
        while (twin := self._n_under_way.get(key)) is not None:
            await twin  # the same question is being asked: its answer will be in the cache, or it failed
        if (known := self.cache.get(key)) is not None:
            self.tally.n_cached += 1
            return known if known.cost_nanousd is not None else self._priced(known)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._n_under_way[key] = done
        try:
            return await self._ask_anew(key, body)
        except NotAskedError:
            self.tally.n_not_asked += 1
            raise
        except AskFailedError as error:
            self._count_failure(error)
            raise
        finally:
            del self._n_under_way[key]
            done.set_result(None)

    def _priced(self, answer: CachedAnswer) -> CachedAnswer:
        """An answer whose price was not known when it came."""
        cost = None if self.price is None else self.price.cost_nanousd(answer.reply.usage)
        return CachedAnswer(answer.reply, cost)

    async def _ask_anew(self, key: bytes, body: Mapping[str, Any]) -> CachedAnswer:
        size_bytes = len(json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass"))
        for attempt in range(self.retries + 1):
            if self.stop.reason is not None:
                raise NotAskedError
            if not self.budget.could_fit(self._most_nanousd(size_bytes)):
                self.stop.is_budget_reached = True
                raise NotAskedError  # at once, without a place at the limiter
            try:
                return await self._try(key, body, size_bytes)
            except AskFailedError as error:
                if not error.is_passing or attempt == self.retries:
                    raise
                self.tally.retries[error.word] += 1
                await asyncio.sleep(_pause_s(attempt, error.limits.retry_after_s))
        raise AssertionError("unreachable")

    async def _try(self, key: bytes, body: Mapping[str, Any], size_bytes: int) -> CachedAnswer:
        ticket = await self.limiter.enter(size_bytes // 4 + max(self._longest_answer, 16))
        limits, is_answered, is_slow_down = RateLimits(), False, False
        try:
            answer = await self._paid_try(key, body, size_bytes)
            limits, is_answered = answer.reply.limits, True
            return answer
        except AskFailedError as error:
            limits, is_slow_down = error.limits, error.is_slow_down
            raise
        finally:
            self.limiter.leave(ticket, limits, is_answered=is_answered, is_slow_down=is_slow_down)

    async def _paid_try(self, key: bytes, body: Mapping[str, Any], size_bytes: int) -> CachedAnswer:
        most = self._most_nanousd(size_bytes)
        if not await self.budget.reserve(most):
            self.stop.is_budget_reached = True
            raise NotAskedError
        if self.stop.reason is not None:  # it was stopped while this waited for its turn
            self.budget.settle(most, 0)
            raise NotAskedError
        number = self.cache.open_request(self.job, most)
        try:
            reply = await self.teacher.ask(body)
        except AskFailedError as error:
            spent = self._spent_without_answer(error, most)
            self.budget.settle(most, spent)
            self.cache.close_request(number, self.job, spent)
            raise
        return self._book(key, reply, size_bytes, most, number)

    def _most_nanousd(self, size_bytes: int) -> int:
        if self.price is None:
            return 0
        return self.price.most_nanousd(
            size_bytes + self._added_tokens, max(self.max_tokens, self._longest_answer)
        )

    def _spent_without_answer(self, error: AskFailedError, most: int) -> int:
        if not error.is_maybe_billed:
            return 0
        if error.usage is not None and self.price is not None:
            cost = self.price.cost_nanousd(error.usage)
            if cost is not None:
                self.tally.count_reply(error.usage, cost)
                return cost
        self.tally.n_maybe_billed += 1
        self.tally.maybe_billed_nanousd += most
        return most

    def _book(self, key: bytes, reply: Reply, size_bytes: int, most: int, number: int) -> CachedAnswer:
        cost = None if self.price is None else self.price.cost_nanousd(reply.usage)
        answer = CachedAnswer(reply, cost)
        spent = most if cost is None else cost
        # A server that takes more than was thought possible: later requests reserve as much.
        self._added_tokens = max(self._added_tokens, (reply.usage.input_tokens or 0) - size_bytes)
        self._longest_answer = max(self._longest_answer, reply.usage.output_tokens or 0)
        self.budget.settle(most, spent)
        self.cache.close_request(number, self.job, spent, key=key, model=self.teacher.model, answer=answer)
        self.tally.answered(reply.usage, cost, reply.latency_ms, is_cut_off=reply.finish_reason == "length")
        return answer

    def _count_failure(self, error: AskFailedError) -> None:
        self.tally.failed[error.word] += 1
        self.tally.failed_in_a_row += 1
        is_first = not self.tally.n_answered
        if error.is_same_for_all:
            self.stop.because(error.word)
            if is_first and error.word.startswith("http_"):
                raise ConfigError(
                    "the teacher refuses all requests",
                    given=f"{error.word} from {self.teacher.address}, model {self.teacher.model}",
                    todo="check the key (--key-env), --teacher and --model",
                ) from error
        elif is_first and not error.is_passing and self.tally.failed_in_a_row >= _MOST_REFUSED_AT_START:
            self.stop.because(error.word)
            raise ConfigError(
                f"the teacher refused the first {self.tally.failed_in_a_row} requests",
                given=f"{error.word} from {self.teacher.address}, model {self.teacher.model}",
                todo="if it does not know response_format or a parameter, try --plain, or leave out --temperature",
            ) from error
        elif self.tally.failed_in_a_row >= _MOST_FAILED_IN_A_ROW:
            self.stop.because(
                f"{self.tally.failed_in_a_row} inputs in a row failed, the last with {error.word}"
            )


def _pause_s(attempt: int, retry_after_s: float | None) -> float:
    """Seconds to wait before the next try: doubling with jitter, on top of what the limiter waits for all."""
    if retry_after_s is not None:
        return random.uniform(0.0, 0.25)
    return random.uniform(0.5, 1.0) * min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0**attempt)
