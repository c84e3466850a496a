"""The ASGI application: routes, limits, life and death.

Run one per process; several processes may share a port, a spool folder and a ledger.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from understudy.errors import UnderstudyError
from understudy.ledger.drain import Drainer
from understudy.ledger.errors import LedgerError
from understudy.ledger.group_commit import GroupCommit
from understudy.ledger.spool import Spool
from understudy.serving.answering import Answerer
from understudy.serving.audit import Auditor
from understudy.serving.auth import Keys
from understudy.serving.budget import Budgets
from understudy.serving.client import ClientError, Reply
from understudy.serving.crew import Crew, Order
from understudy.serving.dashboard.pages import dashboard_routes
from understudy.serving.events import tell, where_it_broke
from understudy.serving.forward import Forwarder, until_gone
from understudy.serving.handle import Handler
from understudy.serving.live_reply import LiveReplier
from understudy.serving.metrics import Metrics
from understudy.serving.origin import check_origin
from understudy.serving.problems import RequestProblem, problem_response
from understudy.serving.recorder import Recorder
from understudy.serving.registry import NAME_PREFIX, Registry
from understudy.serving.room import Room
from understudy.serving.settings import ServeSettings
from understudy.serving.upstream import Upstream, Upstreams
from understudy.serving.watch import Watch

__all__ = ["Server", "make_app"]

_UPSTREAM_MODELS_S = 5.0
_FORGET_EVERY_S = 3600.0
_FIRST_LOOK_S = 5.0
_BUDGETS_EVERY_S = 10.0
_TELL_CREW_EVERY_S = 1.0
_METHODS = ["GET", "POST", "DELETE", "PUT", "PATCH"]
Endpoint = Callable[[Request], Awaitable[Response]]


class Server:
    """What one process holds while it serves.

    Parameters
    ----------
    settings
        The operator's.
    watch
        Who is told about calls; by default nobody.
    crew
        The other workers of this server, where it has several.

    Raises
    ------
    UnderstudyError
        If an artefact, the ledger or an upstream's key cannot be had.
    """

    def __init__(self, settings: ServeSettings, watch: Watch | None = None, crew: Crew | None = None) -> None:
        from understudy.ledger.database import Ledger

        self.settings = settings
        self.watch = watch or Watch()
        self.crew = crew
        self.registry = Registry(settings.tasks)
        # A database server may be down when this starts: the spool takes the calls until it is back.
        self.ledger = Ledger.open(settings.ledger.url, is_lazy=settings.ledger.is_remote)
        self.spool = Spool(settings.ledger.spool_folder(), is_fsynced=settings.ledger.is_fsynced)
        self.drainer = Drainer(self.spool, self.ledger)
        self.metrics = Metrics()
        self.answerer = Answerer()
        self.keys = Keys(settings.keys)
        members = [one for one in (settings.upstream, settings.fallback) if one is not None]
        self.upstreams = Upstreams([Upstream(one) for one in members])
        self.budgets = Budgets(settings.keys, self._spent_before, settings.ledger.spool_folder())
        self.room = Room(settings.most_at_once)
        self.is_ready = False
        self.handler: Handler | None = None
        self._swap = asyncio.Lock()

    def _spent_before(self, name: str, since_ms: int) -> int:
        from understudy.ledger.queries import spent_nanousd

        try:
            return spent_nanousd(self.ledger, name, since_ms).known_nanousd
        except LedgerError as error:
            raise RequestProblem(
                503, "ledger_unavailable", "It is not known what this key has spent today.", retry_after_s=10
            ) from error

    @asynccontextmanager
    async def life(self, _app: Starlette) -> AsyncIterator[None]:
        """Start and, when the server ends, finish what was accepted."""
        commit = GroupCommit(self.spool)
        recorder = Recorder(commit, self.settings.ledger, self.settings.mode, self.metrics, self.watch)
        forwarder = Forwarder(self.settings, self.upstreams, recorder, self.budgets)
        auditor = Auditor(self.settings.audit_share, self.upstreams, self.budgets, recorder)
        live_replier = LiveReplier(self.settings, self.answerer, forwarder)
        self.handler = Handler(
            self.settings,
            self.registry,
            forwarder,
            self.answerer,
            live_replier,
            self.keys,
            auditor,
            self.watch,
        )
        self.drainer.start()
        loop = asyncio.get_running_loop()
        try:
            loop.add_signal_handler(signal.SIGHUP, lambda: loop.create_task(self._reload_logged()))
        except (NotImplementedError, RuntimeError, ValueError):  # not the main thread, or not a Unix
            tell(logging.DEBUG, "no_sighup_here")
        beside = [loop.create_task(self._forget_old_texts()), loop.create_task(self._keep_budgets())]
        if self.crew is not None:
            self.crew.join(self._artefacts())
            beside.append(loop.create_task(self.crew.follow_orders(self._follow)))
            beside.append(loop.create_task(self._tell_crew(self.crew)))
        await self.upstreams.warm_up()
        if self.budgets:
            with contextlib.suppress(
                TimeoutError
            ):  # a database that hangs: keys with limits wait for it, others do not
                await asyncio.wait_for(self._take_up_budgets(), _FIRST_LOOK_S)
        self.is_ready = True
        try:
            yield
        finally:
            self.is_ready = False
            for one in beside:
                one.cancel()
            if self.crew is not None:
                self.crew.leave()
            await forwarder.finish()
            await live_replier.finish()
            await auditor.finish()
            await commit.close()
            await asyncio.to_thread(self.drainer.stop, 10.0)
            await self.upstreams.close()
            self.answerer.close()
            self.budgets.close()
            self.spool.close()
            self.ledger.close()
            if self.watch.tracing is not None:
                await asyncio.to_thread(self.watch.tracing.close)

    async def _forget_old_texts(self) -> None:
        """Once an hour remove stored texts that are older than they may be."""
        from understudy.ledger.retention import forget_texts

        while self.settings.ledger.keeps_texts:
            oldest_ms = int((time.time() - self.settings.ledger.keep_days * 86_400) * 1000)
            try:
                count = await asyncio.to_thread(forget_texts, self.ledger, oldest_ms)
                tell(logging.INFO, "texts_removed", calls=count)
            except LedgerError as error:
                tell(logging.WARNING, "texts_not_removed", reason=error.what)
            await asyncio.sleep(_FORGET_EVERY_S)

    async def _keep_budgets(self) -> None:
        """Learn every few seconds what other machines have spent of the keys' limits."""
        while self.budgets:
            await self._take_up_budgets()
            await asyncio.sleep(_BUDGETS_EVERY_S)

    async def _take_up_budgets(self) -> None:
        try:
            self.budgets.take_up(*await asyncio.to_thread(self.budgets.known))
        except (RequestProblem, OSError, LedgerError):
            tell(logging.DEBUG, "budgets_not_known")

    async def _reload_logged(self) -> None:
        try:
            await self.reload()
        except (UnderstudyError, OSError) as error:
            reason = error.what if isinstance(error, UnderstudyError) else type(error).__name__
            tell(logging.ERROR, "reload_failed", reason=reason)

    async def reload(self) -> list[dict[str, Any]]:
        """Load the artefacts anew and swap, in this process; what is in work ends with those it began with.

        Raises
        ------
        UnderstudyError
            If one cannot be loaded; then nothing changes.
        """
        async with self._swap:
            self.registry.use(await asyncio.to_thread(self.registry.prepare))
        tell(logging.INFO, "reloaded", artefacts=self._artefacts())
        return self.tasks()

    async def _roll_back(self) -> None:
        async with self._swap:
            self.registry.roll_back()
        tell(logging.INFO, "rolled_back", artefacts=self._artefacts())

    async def _follow(self, order: Order) -> dict[str, str]:
        """Change what this process serves; ids by task after it."""
        try:
            await (self.reload() if order == "reload" else self._roll_back())
        except (UnderstudyError, OSError) as error:  # a folder that is being replaced, say
            reason = error.what if isinstance(error, UnderstudyError) else type(error).__name__
            tell(logging.ERROR, f"{order}_failed", reason=reason)
            code = "reload_failed" if order == "reload" else "nothing_to_roll_back"
            raise RequestProblem(409, code, reason) from error
        return self._artefacts()

    def _artefacts(self) -> dict[str, str]:
        return {name: task.artefact_id for name, task in self.registry.current.tasks.items()}

    def tasks(self) -> list[dict[str, Any]]:
        """What is served now."""
        return [
            {"name": task.name, "artefact": task.artefact_id, "certificate": task.sentence}
            for task in self.registry.current.tasks.values()
        ]

    async def call(self, request: Request) -> Response:
        """Everything under ``/v1/``."""
        path = _path_as_sent(request)
        assert self.handler is not None, "the server was started"
        if request.method == "GET" and path == "models":
            return await self._models(request)
        if request.method == "POST":
            return await self.handler.call(request, path)
        key = self.keys.check(request.headers.get("authorization"))
        self.keys.check_task(key, None)
        return await self._passed(request, path)

    async def _passed(self, request: Request, path: str) -> Response:
        if not self.upstreams:
            raise RequestProblem(404, "not_found", "There is no such path here, and no upstream is set.")
        assert self.handler is not None, "the server was started"
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = await self.handler.body(request)
        query = request.url.query.encode()
        begun = await until_gone(request, self.upstreams.send(request.method, path, query, headers, body))
        reply = begun.reply
        self.watch.passed(reply.status)
        if "text/event-stream" in reply.headers.get("content-type", ""):
            return StreamingResponse(_pieces(reply), status_code=reply.status, headers=begun.headers())
        try:
            content = await until_gone(request, reply.read())
        except ClientError as error:
            raise RequestProblem(502, "upstream_broken", "The upstream model's reply broke off.") from error
        finally:
            reply.close()
        return Response(content, status_code=reply.status, headers=begun.headers())

    async def _models(self, request: Request) -> Response:
        """The upstream's models and the learnt tasks; the tasks alone while the upstream does not answer."""
        self.keys.check(request.headers.get("authorization"))
        own = [
            {"id": f"{NAME_PREFIX}{name}", "object": "model", "created": 0, "owned_by": "understudy"}
            for name in self.registry.current.tasks
        ]
        listed: list[Any] = []
        if self.upstreams:
            import json

            headers = {name.lower(): value for name, value in request.headers.items()}
            try:
                async with asyncio.timeout(_UPSTREAM_MODELS_S):
                    begun = await self.upstreams.send("GET", "models", b"", headers, b"")
                    try:
                        content = await begun.reply.read()
                    finally:
                        begun.reply.close()
                found = json.loads(content)
                listed = found["data"] if isinstance(found.get("data"), list) else []
            except (RequestProblem, ClientError, TimeoutError, ValueError, AttributeError):
                tell(logging.WARNING, "upstream_models_not_listed")
        return JSONResponse({"object": "list", "data": [*listed, *own]})

    async def ready(self, request: Request) -> Response:
        """Whether calls are taken: artefacts are loaded and the spool takes rows."""
        facts: dict[str, Any] = {"ready": self.is_ready}
        try:
            if not self.settings.keys:
                check_origin(request.headers, own_host=self.settings.host)
            self.keys.check(request.headers.get("authorization"))
        except RequestProblem:
            pass  # whoever has no key may know whether, not what; nor may a page of another site
        else:
            facts["tasks"] = self.tasks()
            facts["ledger_lag_records"] = self.drainer.lag_records
            facts["ledger_error"] = self.drainer.last_error
        return JSONResponse(facts, status_code=200 if self.is_ready else 503)

    async def metrics_page(self, request: Request) -> Response:
        """Counters for Prometheus, of all workers together."""
        self.keys.check(request.headers.get("authorization"))
        others = [] if self.crew is None else self.crew.told_by_others()
        text = self.metrics.text(self._gauges(), others)
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")

    def _gauges(self) -> dict[str, int]:
        return {
            "ledger_lag_records": self.drainer.lag_records,
            "requests_in_work": self.room.in_work,
            "upstream_circuits_open": sum(one.breaker.is_open for one in self.upstreams.members),
        }

    async def _tell_crew(self, crew: Crew) -> None:
        """Let whichever worker is asked for metrics know this one's."""
        while True:
            try:
                crew.tell_others({"metrics": self.metrics.state(), "gauges": self._gauges()})
            except OSError as error:  # a full disk; it may be free again in a second
                tell(logging.WARNING, "metrics_not_told", error=type(error).__name__)
            await asyncio.sleep(_TELL_CREW_EVERY_S)

    async def admin_reload(self, request: Request) -> Response:
        """Take up changed artefacts."""
        self.keys.check_admin(request.headers.get("authorization"))
        return await self._changed("reload")

    async def admin_roll_back(self, request: Request) -> Response:
        """Go back to the artefacts before the last reload."""
        self.keys.check_admin(request.headers.get("authorization"))
        return await self._changed("rollback")

    async def _changed(self, order: Order) -> Response:
        """Make a change in every worker; what is served now, by whom."""
        if self.crew is None:
            await self._follow(order)
            return JSONResponse({"tasks": self.tasks()})
        states = await self.crew.give(order, self._follow)
        facts: dict[str, Any] = {"tasks": self.tasks(), "workers": [asdict(one) for one in states]}
        if self.crew.is_of_one_mind(states):
            return JSONResponse(facts)
        problem = RequestProblem(
            409, "not_everywhere", "Not every worker could make the change: see workers."
        )
        return JSONResponse({**problem.as_json(), **facts}, status_code=problem.status)

    def limited(self, endpoint: Endpoint, room: Room | None = None) -> Endpoint:
        """The endpoint with a limit on requests in work (``room``: its own), and problems turned into replies."""
        room = room or self.room

        async def guarded(request: Request) -> Response:
            if room.is_full:
                busy = RequestProblem(429, "server_busy", "Too many calls at once.", retry_after_s=1)
                self.watch.refused(busy)
                return problem_response(busy)
            room.enter()
            try:
                response = await self._replied(endpoint, request)
            except BaseException:
                room.leave()
                raise
            return room.until_sent(response)

        return guarded

    async def _replied(self, endpoint: Endpoint, request: Request) -> Response:
        try:
            if not self.settings.keys:
                check_origin(request.headers, own_host=self.settings.host)
            return await endpoint(request)
        except RequestProblem as problem:
            if not problem.is_told:
                self.watch.refused(problem)
            return problem_response(problem)
        except Exception:
            tell(logging.ERROR, "call_broke", where=where_it_broke())
            return problem_response(RequestProblem(500, "internal_error", "The server made a mistake."))


def _path_as_sent(request: Request) -> str:
    """The path after ``/v1/`` as the caller wrote it, percent signs and all, so that upstream gets the same.

    Raises
    ------
    RequestProblem
        404 if it leads out of ``/v1/``, or no upstream could read it.
    """
    path = request.path_params["path"]
    raw = request.scope["raw_path"].partition(b"?")[0].partition(b"/v1/")[2]
    is_printable = all(0x21 <= byte < 0x7F for byte in raw)
    if ".." in path.split("/") or "//" in path or "%" in path or "\\" in path or not is_printable:
        raise RequestProblem(404, "not_found", "There is no such path.")
    return str(raw, "ascii")


async def _pieces(reply: Reply) -> AsyncIterator[bytes]:
    try:
        async for piece in reply.pieces():
            yield piece
    finally:
        reply.close()


async def _healthy(_request: Request) -> Response:
    return PlainTextResponse("ok\n")


def make_app(server: Server) -> Starlette:
    """The application around a server's state."""
    return Starlette(
        lifespan=server.life,
        routes=[
            Route("/v1/{path:path}", server.limited(server.call), methods=_METHODS),
            Route("/healthz", _healthy),
            Route("/readyz", server.ready),
            Route("/metrics", server.limited(server.metrics_page)),
            Route("/admin/reload", server.limited(server.admin_reload), methods=["POST"]),
            Route("/admin/rollback", server.limited(server.admin_roll_back), methods=["POST"]),
            *(dashboard_routes(server) if server.settings.has_dashboard else ()),
        ],
    )
