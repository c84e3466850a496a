"""Routes of the dashboard: who may see it, what is asked of the ledger in threads, and which page answers."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from understudy.calls.call import ABSENT
from understudy.ledger.disagreements import find_call, next_disagreement, queue_counts
from understudy.ledger.errors import LedgerError
from understudy.ledger.gold import add_gold, gold_counts, undo_gold
from understudy.serving.dashboard.assets import ASSETS, asset_text
from understudy.serving.dashboard.csrf import Form, check_form, read_form
from understudy.serving.dashboard.layout import Frame
from understudy.serving.dashboard.login_page import login_page, problem_page
from understudy.serving.dashboard.overview import overview
from understudy.serving.dashboard.overview_page import overview_page
from understudy.serving.dashboard.periods import DEFAULT_PERIOD, PERIODS
from understudy.serving.dashboard.replies import asset_reply, page_reply, redirect
from understudy.serving.dashboard.review import label_of, read_item
from understudy.serving.dashboard.review_form import entered_values, read_answer
from understudy.serving.dashboard.review_page import review_page
from understudy.serving.dashboard.session import COOKIE, SESSION_S, LoginLimit, Sessions, shared_secret
from understudy.serving.dashboard.visitor import Visitor, visitor_of
from understudy.serving.events import tell
from understudy.serving.problems import RequestProblem
from understudy.serving.room import Room
from understudy.task.parse import OffSchema

if TYPE_CHECKING:
    from understudy.serving.app import Server

__all__ = ["Dashboard", "dashboard_routes"]

_AT_ONCE, _MOST_WAITING = 2, 8
_MOST_PAGES, _MOST_PUBLIC = 32, 16
Made = TypeVar("Made")


Endpoint = Callable[[Request, Visitor], Awaitable[Response]]


class Dashboard:
    """The pages of one process.

    Parameters
    ----------
    server
        Whose ledger and artefacts are shown.

    Raises
    ------
    LedgerError
        If the spool folder does not take the secret that signs sessions.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        folder = server.spool.folder
        try:
            self._sessions = Sessions(server.settings.keys, shared_secret(folder))
        except OSError as error:
            raise LedgerError(
                "the dashboard's secret cannot be kept in the spool folder",
                given=f"{folder}: {error.strerror}",
            ) from error
        self._logins = LoginLimit()
        # Questions may take a second of processor time: few at once, beside the calls.
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._n_waiting = 0

    async def _ask(self, work: Callable[[], Made]) -> Made:
        if self._n_waiting >= _MOST_WAITING:
            raise RequestProblem(
                503, "dashboard_busy", "Too many people look at once; try again.", retry_after_s=2
            )
        self._n_waiting += 1
        try:
            async with self._turns:
                return await asyncio.to_thread(work)
        finally:
            self._n_waiting -= 1

    def guarded(
        self, endpoint: Endpoint, *, is_public: bool = False
    ) -> Callable[[Request], Awaitable[Response]]:
        """The endpoint for those who may see it; problems become pages."""

        async def run(request: Request) -> Response:
            visitor = visitor_of(request, self._sessions, self._server.settings.mode)
            try:
                if not visitor.is_known and not is_public:
                    if request.method == "GET":
                        return redirect("/dashboard/login")
                    raise RequestProblem(401, "no_session", "Log in first: the session is over.")
                return await endpoint(request, visitor)
            except RequestProblem as problem:
                return page_reply(
                    problem_page(visitor.frame, problem.status, problem.message), problem.status
                )
            except LedgerError as error:
                tell(logging.WARNING, "dashboard_without_ledger", reason=error.what)
                words = "The ledger's database does not answer. Calls go on, and are kept in the spool."
                return page_reply(problem_page(visitor.frame, 503, words), 503)

        return run

    async def overview(self, request: Request, visitor: Visitor) -> Response:
        """What was saved and spent, and how sure one may be."""
        server = self._server
        period = PERIODS.get(request.query_params.get("period") or DEFAULT_PERIOD)
        if period is None:
            raise RequestProblem(400, "unknown_period", f"A period is one of {', '.join(PERIODS)}.")
        task = _asked(request, "task")
        now_ms = time.time_ns() // 1_000_000
        served = dict(server.registry.current.tasks)
        facts = await self._ask(lambda: overview(server.ledger, served, period, task, now_ms))
        page = overview_page(
            facts,
            _with_waiting(visitor.frame, facts.queue.n_waiting),
            base_url=f"{request.url.scheme}://{request.headers.get('host', '')}/v1",
            lag_records=server.drainer.lag_records,
            ledger_error=server.drainer.last_error,
        )
        return page_reply(page)

    async def review(self, request: Request, visitor: Visitor) -> Response:
        """The next disagreement, or the one that is named."""
        task = _asked(request, "task")
        return await self._review(visitor, task, _asked(request, "call"))

    async def _review(
        self,
        visitor: Visitor,
        task: str | None,
        call_id: str | None,
        *,
        problem: str | None = None,
        entered: dict[str, Any] | None = None,
        status: int = 200,
    ) -> Response:
        ledger, served = self._server.ledger, dict(self._server.registry.current.tasks)

        def work() -> tuple[Any, ...]:
            call = find_call(ledger, call_id) if call_id else next_disagreement(ledger, task)
            item = None if call is None else read_item(call, served)
            return item, queue_counts(ledger, task), gold_counts(ledger, task)

        item, counts, labelled = await self._ask(work)
        if call_id and item is None:
            raise RequestProblem(404, "no_such_call", "There is no such call, or its texts are gone.")
        page = review_page(
            item,
            counts,
            labelled,
            _with_waiting(visitor.frame, counts.n_waiting),
            task=task,
            keeps_texts=self._server.settings.ledger.keeps_texts,
            problem=problem,
            entered=entered,
        )
        return page_reply(page, status)

    async def label(self, request: Request, visitor: Visitor) -> Response:
        """Write down who is right."""
        form = await self._form(request, visitor)
        call_id, choice, task = (_first(form, name) for name in ("call", "choice", "task"))
        ledger, served = self._server.ledger, dict(self._server.registry.current.tasks)
        call = await self._ask(lambda: find_call(ledger, call_id))
        item = None if call is None else read_item(call, served)
        if item is None:
            raise RequestProblem(404, "no_such_call", "There is no such call, or its texts are gone.")
        entered: Any = ABSENT
        if choice == "other":
            if item.task is None:
                raise RequestProblem(
                    409, "task_not_served", "The task is not served now; the answer cannot be checked."
                )
            entered = read_answer(item.task, form)
            if isinstance(entered, OffSchema):
                words = f"The task does not allow this answer: {entered.reason}."
                given = entered_values(item.task, form)
                return await self._review(
                    visitor, task or None, call_id, problem=words, entered=given, status=422
                )
        label = label_of(
            item, choice, visitor.name, entered, is_masked=self._server.settings.ledger.is_masked
        )
        is_new = await self._ask(lambda: add_gold(ledger, label))
        if not is_new:
            words = "Somebody has judged that call already; their label stays."
            return await self._review(visitor, task or None, None, problem=words, status=409)
        return redirect(_review_address(task))

    async def undo(self, request: Request, visitor: Visitor) -> Response:
        """Take back one's last label, and show that call again."""
        form = await self._form(request, visitor)
        ledger = self._server.ledger
        undone = await self._ask(lambda: undo_gold(ledger, visitor.name))
        return redirect(_review_address(_first(form, "task"), None if undone is None else undone.call_id))

    async def login_form(self, _request: Request, visitor: Visitor) -> Response:
        """Ask for a key."""
        return redirect("/dashboard") if visitor.is_known else page_reply(login_page(visitor.frame))

    async def login(self, request: Request, visitor: Visitor) -> Response:
        """Open a session for an operator's key."""
        if visitor.is_known:
            return redirect("/dashboard")
        form = await self._form(request, visitor)
        address = "" if request.client is None else request.client.host
        try:
            self._logins.check(address)
            key = self._server.keys.check(f"Bearer {_first(form, 'key')}")
            assert key is not None, "without keys nobody logs in"
            cookie = self._sessions.open(key)
        except RequestProblem as problem:
            if problem.status != 429:
                self._logins.failed(address)
            words = "This key is not known." if problem.status == 401 else problem.message
            return page_reply(login_page(visitor.frame, words), problem.status)
        reply = redirect("/dashboard")
        reply.set_cookie(
            COOKIE,
            cookie,
            max_age=SESSION_S,
            path="/dashboard",
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="strict",
        )
        return reply

    async def logout(self, request: Request, visitor: Visitor) -> Response:
        """End the session in this browser."""
        await self._form(request, visitor)
        reply = redirect("/dashboard/login")
        reply.delete_cookie(COOKIE, path="/dashboard")
        return reply

    async def asset(self, request: Request, _visitor: Visitor) -> Response:
        """The style sheet and the script."""
        name = request.path_params["name"]
        if name not in ASSETS:
            raise RequestProblem(404, "not_found", "There is no such file.")
        return asset_reply(asset_text(name), ASSETS[name])

    @staticmethod
    async def _form(request: Request, visitor: Visitor) -> Form:
        form = await read_form(request)
        check_form(request.headers, form, visitor.frame.token)
        return form


def _first(form: Form, name: str) -> str:
    return _storable((form.get(name) or [""])[0])


def _asked(request: Request, name: str) -> str | None:
    """A value of the address; ``None`` if it is not there or empty."""
    return _storable(request.query_params.get(name) or "") or None


def _storable(text: str) -> str:
    if "\x00" in text:
        raise RequestProblem(400, "null_character", "Null characters are not allowed here.")
    return text


def _review_address(task: str, call_id: str | None = None) -> str:
    given = {**({"task": task} if task else {}), **({"call": call_id} if call_id else {})}
    return f"/dashboard/review?{urlencode(given)}" if given else "/dashboard/review"


def _with_waiting(frame: Frame, n_waiting: int) -> Frame:
    return replace(frame, n_waiting=n_waiting)


def dashboard_routes(server: Server) -> Sequence[Route]:
    """Everything under ``/dashboard``."""
    board = Dashboard(server)
    # Rooms of their own: nobody at a login page, however slow, keeps a call from being answered.
    seen, public = Room(_MOST_PAGES), Room(_MOST_PUBLIC)

    def route(path: str, endpoint: Endpoint, method: str = "GET", *, is_public: bool = False) -> Route:
        guarded = server.limited(board.guarded(endpoint, is_public=is_public), public if is_public else seen)
        return Route(f"/dashboard{path}", guarded, methods=[method])

    return [
        route("", board.overview),
        route("/review", board.review),
        route("/review", board.label, "POST"),
        route("/review/undo", board.undo, "POST"),
        route("/login", board.login_form, is_public=True),
        route("/login", board.login, "POST", is_public=True),
        route("/logout", board.logout, "POST"),
        route("/assets/{name}", board.asset, is_public=True),
    ]
