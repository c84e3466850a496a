"""Where uvicorn finds the application: in this process, or in each of several worker processes.

Workers are started anew by the interpreter, so settings reach them as the command line's options in the environment.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from starlette.applications import Starlette

from understudy.serving.app import Server, make_app
from understudy.serving.crew import Crew
from understudy.serving.settings import ServeSettings, TaskSettings, UpstreamSettings, read_settings
from understudy.serving.watch import Watch

__all__ = ["OPTIONS_VARIABLE", "create_app", "make_server", "settings_of"]

OPTIONS_VARIABLE = "UNDERSTUDY_SERVE_OPTIONS"


def settings_of(options: Mapping[str, Any]) -> ServeSettings:
    """Settings from a file and options of the command line; an option that was given wins.

    Raises
    ------
    ConfigError
        If something is wrong or missing.
    """
    path = options.get("config")
    changes: dict[str, Any] = {}
    base = read_settings(Path(path)) if path else None
    for name in ("host", "port", "mode", "when_alone", "audit_share"):
        if options.get(name) is not None:
            changes[name] = options[name]
    if options.get("has_no_dashboard"):
        changes["has_dashboard"] = False
    if options.get("artefacts"):
        changes["tasks"] = tuple(TaskSettings(Path(folder)) for folder in options["artefacts"])
    if options.get("upstream"):
        given = {
            "url": options["upstream"],
            "price": options.get("teacher_price"),
            "key_env": options.get("key_env"),
        }
        upstream = None if base is None else base.upstream
        known = {key: value for key, value in given.items() if value is not None}
        changes["upstream"] = UpstreamSettings(**known) if upstream is None else replace(upstream, **known)
    if base is None:
        base = ServeSettings(**changes)
        changes = {}
    ledger = base.ledger
    if options.get("ledger"):
        ledger = replace(ledger, url=options["ledger"])
    if options.get("keeps_texts"):
        ledger = replace(ledger, keeps_texts=True)
    return replace(base, **changes, ledger=ledger)


def make_server(settings: ServeSettings, options: Mapping[str, Any]) -> Server:
    """The server of one process, watched as the command line's options say.

    Raises
    ------
    UnderstudyError
        If something cannot be had: an artefact, the ledger, a key, the package for telemetry.
    """
    tracing = None
    if options.get("has_telemetry"):
        from understudy.serving.tracing import Tracing

        tracing = Tracing.from_environment(address=settings.host, port=settings.port)
    # Before the artefacts are loaded, so that no order to load them anew is missed.
    crew = Crew(Path(options["crew"])) if options.get("crew") else None
    return Server(settings, Watch(tracing, bool(options.get("has_access_log"))), crew)


def create_app() -> Starlette:
    """The application of a worker, from the environment."""
    options = json.loads(os.environ[OPTIONS_VARIABLE])
    return make_app(make_server(settings_of(options), options))
