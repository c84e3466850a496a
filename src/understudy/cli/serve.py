"""``understudy serve``: stand in for the large model behind the API that applications already speak."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

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
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes.")
def serve_command(artefacts: tuple[Path, ...], workers: int, store_texts: bool, **given: Any) -> None:
    r"""Serve ARTEFACTS behind the OpenAI API, and forward what they are unsure of.

    \b
    Example:
      understudy serve demo/support --upstream https://api.openai.com/v1
    Then, in the application, change one line:
      client = OpenAI(base_url="http://127.0.0.1:8400/v1")
    """
    import uvicorn

    from understudy.ledger.database import Ledger
    from understudy.runtime.artefact import read_manifest
    from understudy.serving.app import Server, make_app
    from understudy.serving.worker import OPTIONS_VARIABLE, settings_of

    options = {
        **{
            name: value if value is None or isinstance(value, int | float) else str(value)
            for name, value in given.items()
        },
        "artefacts": [str(folder) for folder in artefacts],
        "keeps_texts": store_texts,
    }
    settings = settings_of(options)
    for task in settings.tasks:
        manifest = read_manifest(task.artefact)
        name = task.name or manifest["task"]["name"]
        certificate = manifest.get("certificate") or {}
        click.echo(
            f"understudy/{name}  {certificate.get('sentence') or 'nothing is certified: defers all'}",
            err=True,
        )
    where = settings.upstream.url if settings.upstream else "none: unsure calls fail"
    click.echo(f"upstream  {where}", err=True)
    click.echo(f"ledger    {settings.ledger.url.split('@')[-1]}", err=True)
    click.echo(f"listening on http://{settings.host}:{settings.port}/v1  (mode {settings.mode})", err=True)
    if settings.has_dashboard:
        click.echo(f"dashboard http://{settings.host}:{settings.port}/dashboard", err=True)
    os.environ[OPTIONS_VARIABLE] = json.dumps(options)
    # Made here where one process serves, so that what cannot be opened is told as any other mistake; workers are
    # started anew and make their own, once the ledger has been seen to open.
    if workers == 1:
        app: Any = make_app(Server(settings))
    else:
        Ledger.open(settings.ledger.url, is_lazy=settings.ledger.is_remote).close()
        app = "understudy.serving.worker:create_app"
    uvicorn.run(
        app,
        factory=workers > 1,
        host=settings.host,
        port=settings.port,
        workers=workers,
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=30,
        timeout_keep_alive=75,
    )
