"""The ASGI application: routes, limits, life and death.

Run one per process; several processes may share a port, a spool folder and a ledger.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
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
from understudy.serving.dashboard.pages import dashboard_routes
from understudy.serving.forward import Forwarder, until_gone
from understudy.serving.handle import Handler
from understudy.serving.metrics import Metrics
from understudy.serving.origin import check_origin
from understudy.serving.problems import RequestProblem, problem_response
from understudy.serving.recorder import Recorder
from understudy.serving.registry import NAME_PREFIX, Registry
from understudy.serving.settings import ServeSettings
from understudy.serving.upstream import Upstream, Upstreams

__all__ = ["Server", "make_app"]

_LOG = logging.getLogger("understudy.serving")
_UPSTREAM_MODELS_S = 5.0
_FORGET_EVERY_S = 3600.0
_METHODS = ["GET", "POST", "DELETE", "PUT", "PATCH"]
Endpoint = Callable[[Request], Awaitable[Response]]


class Server:
    """What one process holds while it serves.

    Parameters
    ----------
    settings
        The operator's.

    Raises
    ------
    UnderstudyError
        If an artefact, the ledger or an upstream's key cannot be had.
    """

    def __init__(self, settings: ServeSettings) -> None:
        from understudy.ledger.database import Ledger

        self.settings = settings
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
        self.budgets = Budgets(settings.keys, self._spent_before)
        self.in_work = 0
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
        recorder = Recorder(commit, self.settings.ledger, self.settings.mode, self.metrics)
        forwarder = Forwarder(self.settings, self.upstreams, recorder, self.budgets)
        auditor = Auditor(self.settings.audit_share, self.upstreams, self.budgets, recorder)
        self.handler = Handler(self.settings, self.registry, forwarder, self.answerer, self.keys, auditor)
        self.drainer.start()
        loop = asyncio.get_running_loop()
        try:
            loop.add_signal_handler(signal.SIGHUP, lambda: loop.create_task(self._reload_logged()))
        except (NotImplementedError, RuntimeError, ValueError):  # not the main thread, or not a Unix
            _LOG.debug("no SIGHUP here")
        forgetting = loop.create_task(self._forget_old_texts())
        self.is_ready = True
        try:
            yield
        finally:
            self.is_ready = False
            forgetting.cancel()
            await forwarder.finish()
            await auditor.finish()
            await commit.close()
            await asyncio.to_thread(self.drainer.stop, 10.0)
            await self.upstreams.close()
            self.answerer.close()
            self.spool.close()
            self.ledger.close()

    async def _forget_old_texts(self) -> None:
        """Once an hour remove stored texts that are older than they may be."""
        from understudy.ledger.retention import forget_texts

        while self.settings.ledger.keeps_texts:
            oldest_ms = int((time.time() - self.settings.ledger.keep_days * 86_400) * 1000)
            try:
                count = await asyncio.to_thread(forget_texts, self.ledger, oldest_ms)
                _LOG.info("removed the texts of %d calls that were old enough", count)
            except LedgerError as error:
                _LOG.warning("old texts could not be removed: %s", error.what)
            await asyncio.sleep(_FORGET_EVERY_S)

    async def _reload_logged(self) -> None:
        try:
            await self.reload()
        except UnderstudyError as error:
            _LOG.error("reload failed, the artefacts before it go on: %s", error.what)

    async def reload(self) -> list[dict[str, Any]]:
        """Load the artefacts anew and swap; what is in work ends with those it began with.

        Raises
        ------
        UnderstudyError
            If one cannot be loaded; then nothing changes.
        """
        async with self._swap:
            self.registry.use(await asyncio.to_thread(self.registry.prepare))
        return self.tasks()

    def tasks(self) -> list[dict[str, Any]]:
        """What is served now."""
        return [
            {"name": task.name, "artefact": task.artefact_id, "certificate": task.sentence}
            for task in self.registry.current.tasks.values()
        ]

    async def call(self, request: Request) -> Response:
        """Everything under ``/v1/``."""
        path = request.path_params["path"]
        if ".." in path.split("/") or "//" in path or not path.isascii() or "%" in path:
            raise RequestProblem(404, "not_found", "There is no such path.")
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
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = await request.body()
        query = request.url.query.encode()
        begun = await until_gone(request, self.upstreams.send(request.method, path, query, headers, body))
        try:
            content = await begun.reply.aread()
        finally:
            await begun.reply.aclose()
        return Response(content, status_code=begun.reply.status_code, headers=begun.headers())

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
                    content = await begun.reply.aread()
                    await begun.reply.aclose()
                found = json.loads(content)
                listed = found["data"] if isinstance(found.get("data"), list) else []
            except (RequestProblem, TimeoutError, ValueError, AttributeError):
                _LOG.warning("the upstream's models cannot be listed")
        return JSONResponse({"object": "list", "data": [*listed, *own]})

    async def ready(self, request: Request) -> Response:
        """Whether calls are taken: artefacts are loaded and the spool takes rows."""
        facts: dict[str, Any] = {"ready": self.is_ready}
        try:
            self.keys.check(request.headers.get("authorization"))
        except RequestProblem:
            pass  # whoever has no key may know whether, not what
        else:
            facts["tasks"] = self.tasks()
            facts["ledger_lag_records"] = self.drainer.lag_records
            facts["ledger_error"] = self.drainer.last_error
        return JSONResponse(facts, status_code=200 if self.is_ready else 503)

    async def metrics_page(self, request: Request) -> Response:
        """Counters for Prometheus."""
        self.keys.check(request.headers.get("authorization"))
        text = self.metrics.text(lag_records=self.drainer.lag_records, in_work=self.in_work)
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")

    async def admin_reload(self, request: Request) -> Response:
        """Take up changed artefacts."""
        self.keys.check_admin(request.headers.get("authorization"))
        try:
            return JSONResponse({"tasks": await self.reload()})
        except UnderstudyError as error:
            raise RequestProblem(409, "reload_failed", error.what) from error

    async def admin_roll_back(self, request: Request) -> Response:
        """Go back to the artefacts before the last reload."""
        self.keys.check_admin(request.headers.get("authorization"))
        async with self._swap:
            try:
                self.registry.roll_back()
            except UnderstudyError as error:
                raise RequestProblem(409, "nothing_to_roll_back", error.what) from error
        return JSONResponse({"tasks": self.tasks()})

    def limited(self, endpoint: Endpoint) -> Endpoint:
        """The endpoint with a limit on calls in work, and problems turned into replies."""

        async def guarded(request: Request) -> Response:
            if self.in_work >= self.settings.most_at_once:
                busy = RequestProblem(429, "server_busy", "Too many calls at once.", retry_after_s=1)
                return problem_response(busy)
            self.in_work += 1
            try:
                if not self.settings.keys:
                    check_origin(request.headers, own_host=self.settings.host)
                return await endpoint(request)
            except RequestProblem as problem:
                return problem_response(problem)
            except Exception:
                _LOG.error("a call failed inside the server: %s", _where_it_broke())
                return problem_response(RequestProblem(500, "internal_error", "The server made a mistake."))
            finally:
                self.in_work -= 1

        return guarded


def _where_it_broke() -> str:
    """Type and place of the error in work; its message is left out, as it could hold a caller's text."""
    kind, _, trace = sys.exc_info()
    frames = traceback.extract_tb(trace)
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "an unknown place"
    return f"{'error' if kind is None else kind.__name__} at {place}"


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
