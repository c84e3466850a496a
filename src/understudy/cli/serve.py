"""``understudy serve``: stand in for the large model behind the API that applications already speak."""

from __future__ import annotations

import json
import logging.config
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from understudy.serving.logs import LogFormat
    from understudy.serving.settings import ServeSettings

__all__ = ["serve_command"]


@click.command("serve")
@click.argument("artefacts", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--upstream", metavar="URL", help="The large model's endpoint, such as https://api.openai.com/v1."
)
@click.option("--key-env", metavar="NAME", help="Environment variable that holds the upstream's key.")
@click.option("--teacher-price", metavar="USD", help="0.002 a call, or 0.15/0.60 per million tokens in/out.")
@click.option(
    "--ledger", metavar="URL", help="SQLite file or PostgreSQL URL.  [default: understudy-ledger.db]"
)
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="Settings, serve.toml.")
@click.option(
    "--mode", type=click.Choice(["serve", "shadow", "record"]), help="Who answers.  [default: serve]"
)
@click.option(
    "--when-alone",
    type=click.Choice(["fail", "answer"]),
    help="An unsure call that nobody else can answer.  [default: fail]",
)
@click.option("--store-texts", is_flag=True, help="Keep requests and answers in the ledger, masked.")
@click.option(
    "--audit-share",
    type=click.FloatRange(0, 1),
    help="Share of students' answers that upstream is asked about too, afterwards.  [default: 0]",
)
@click.option("--no-dashboard", "has_no_dashboard", is_flag=True, help="No pages at /dashboard.")
@click.option("--host", help="Address to listen at.  [default: 127.0.0.1]")
@click.option("--port", type=int, help="Port.  [default: 8400]")
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)
@click.option("--access-log/--no-access-log", help="One line per call.  [default: no]")
@click.option("--telemetry/--no-telemetry", help="OpenTelemetry spans, set by OTEL_*.  [default: no]")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes.")
def serve_command(
    artefacts: tuple[Path, ...],
    workers: int,
    store_texts: bool,
    log_format: LogFormat,
    log_level: str,
    access_log: bool,
    telemetry: bool,
    **given: Any,
) -> None:
    """Serve ARTEFACTS behind the OpenAI API, and forward what they are unsure of.

    \b
    Example:
      understudy serve demo/support --upstream https://api.openai.com/v1
    Then, in the application, change one line:
      client = OpenAI(base_url="http://127.0.0.1:8400/v1")
    """
    from understudy.serving.logs import log_config
    from understudy.serving.worker import settings_of

    options = {
        **{
            name: value if value is None or isinstance(value, int | float) else str(value)
            for name, value in given.items()
        },
        "artefacts": [str(folder) for folder in artefacts],
        "keeps_texts": store_texts,
        "has_access_log": access_log,
        "has_telemetry": telemetry,
    }
    settings = settings_of(options)
    logs = log_config(log_format, log_level, has_access_log=access_log)
    logging.config.dictConfig(logs)
    _tell_what_is_served(settings, log_format)
    if workers == 1:
        _serve_here(settings, options, logs)
    else:
        _serve_by_workers(settings, options, logs, workers)


def _tell_what_is_served(settings: ServeSettings, log_format: LogFormat) -> None:
    """Tasks with their certificates, the upstream, the ledger and the address: for people, or as one event."""
    from understudy.runtime.artefact import read_manifest
    from understudy.serving.events import tell

    sentences: dict[str, str | None] = {}
    for task in settings.tasks:
        manifest = read_manifest(task.artefact)
        certificate = manifest.get("certificate") or {}
        sentences[task.name or manifest["task"]["name"]] = certificate.get("sentence")
    upstream = _shown(settings.upstream.url) if settings.upstream else None
    address = f"http://{settings.host}:{settings.port}/v1"
    ledger = _shown(settings.ledger.url)
    if log_format == "json":
        tell(
            logging.INFO,
            "starting",
            tasks=sentences,
            upstream=upstream,
            ledger=ledger,
            address=address,
            mode=settings.mode,
        )
        return
    for name, sentence in sentences.items():
        click.echo(f"understudy/{name}  {sentence or 'nothing is certified: defers all'}", err=True)
    alone = "get the best guess" if settings.when_alone == "answer" else "fail"
    click.echo(f"upstream  {upstream or f'none: unsure calls {alone}'}", err=True)
    click.echo(f"ledger    {ledger}", err=True)
    click.echo(f"listening on {address}  (mode {settings.mode})", err=True)
    if settings.has_dashboard:
        click.echo(f"dashboard {address.removesuffix('/v1')}/dashboard", err=True)


def _shown(url: str) -> str:
    """An address without what may be secret in it: user, password, query."""
    return url.rpartition("@")[2].partition("?")[0]


def _serve_here(settings: ServeSettings, options: dict[str, Any], logs: dict[str, Any]) -> None:
    from understudy.serving.app import make_app
    from understudy.serving.worker import make_server

    # Made here, so that what cannot be opened is told as any other mistake.
    _run(make_app(make_server(settings, options)), settings, logs)


def _serve_by_workers(
    settings: ServeSettings, options: dict[str, Any], logs: dict[str, Any], workers: int
) -> None:
    """Workers are started anew and make their own server, once the ledger and the tracer have been seen to open."""
    from understudy.ledger.database import Ledger
    from understudy.serving.crew import crew_folder
    from understudy.serving.worker import OPTIONS_VARIABLE

    Ledger.open(settings.ledger.url, is_lazy=settings.ledger.is_remote).close()
    if options["has_telemetry"]:
        from understudy.serving.tracing import Tracing

        Tracing.from_environment(address=settings.host, port=settings.port).close()
    with crew_folder(settings.ledger.spool_folder()) as folder:
        os.environ[OPTIONS_VARIABLE] = json.dumps({**options, "crew": str(folder)})
        _run("understudy.serving.worker:create_app", settings, logs, workers)


def _run(app: Any, settings: ServeSettings, logs: dict[str, Any], workers: int = 1) -> None:
    import uvicorn

    uvicorn.run(
        app,
        factory=workers > 1,
        host=settings.host,
        port=settings.port,
        workers=workers,
        access_log=False,  # it would show paths
        log_config=logs,
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=30,
        timeout_keep_alive=75,
        # Also the time in which a worker has to be up when SIGHUP replaces one: five seconds, which is the default,
        # are too few for large artefacts or a busy machine, and then the old worker stays.
        timeout_worker_healthcheck=60,
    )
