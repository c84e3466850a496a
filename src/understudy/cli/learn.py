"""``understudy learn``: the main job."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from understudy.errors import NothingCertifiedError

__all__ = ["learn_command"]


@click.command("learn")
@click.argument("logs", nargs=-1, type=click.Path(path_type=Path))
@click.option("--from-ledger", metavar="URL", help="Also learn from a ledger's calls whose texts were kept.")
@click.option("--request-kind", metavar="NAME", help="Only requests of this kind, as `tasks` names it.")
@click.option("--served-task", metavar="TASK", help="With --from-ledger: only what was served as TASK.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("artefacts/learnt"),
    show_default=True,
    help="Folder of the artefact.",
)
@click.option(
    "--task", type=click.Path(path_type=Path), help="Task TOML or JSON Schema; inferred without it."
)
@click.option("--map", "mapping", multiple=True, metavar="KEY=COLUMN", help="Where to find a part of a call.")
@click.option("--format", "log_format", help="Format of the log, if it is not recognised.")
@click.option("--lenient", is_flag=True, help="Read labels out of longer answers where that is unambiguous.")
@click.option("--target", type=float, default=0.95, show_default=True, help="Share to certify.")
@click.option(
    "--of",
    type=click.Choice(["answered", "all"]),
    default="answered",
    show_default=True,
    help="Share of what.",
)
@click.option(
    "--confidence", type=float, default=0.95, show_default=True, help="Confidence of the certificate."
)
@click.option(
    "--learn-from", type=click.Choice(["teacher", "gold", "both"]), default="teacher", show_default=True
)
@click.option("--against", type=click.Choice(["teacher", "gold"]), help="Whose answers the target means.")
@click.option(
    "--rungs",
    help="Only these, by commas: lookup,linear,frozen,tuned,distilled,writer; from a writer also "
    "writer_pruned,writer_int4,writer_gguf.",
)
@click.option("--max-minutes", type=float, default=30.0, show_default=True, help="Time for training.")
@click.option("--max-usd", type=float, help="Money for machine time.")
@click.option("--max-calls", type=int, help="Read no more calls than this.")
@click.option(
    "--teacher-price",
    metavar="USD",
    help="If the log tells no cost: 0.002 a call, or 0.15/0.60 per million tokens in/out.",
)
@click.option(
    "--core-hour-usd", type=float, default=0.04, show_default=True, help="Price of a core for an hour."
)
@click.option(
    "--base",
    default="sentence-transformers/all-MiniLM-L6-v2",
    show_default=True,
    help="Encoder: hub id or folder.",
)
@click.option("--writer-base", help="Language model that writes texts: hub id or folder; else from scratch.")
@click.option(
    "--writer-tuning",
    type=click.Choice(["full", "lora", "qlora"]),
    default="full",
    show_default=True,
    help="What is trained of --writer-base.",
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--threads", type=int, help="Threads for training.")
@click.option(
    "--cache",
    type=click.Path(path_type=Path),
    default=Path(".understudy-cache"),
    show_default=True,
    help="Finished rungs.",
)
@click.option(
    "--rationales", "use_rationales", is_flag=True, help="Also learn from recorded reasons (rungs that can)."
)
@click.option("--no-texts", is_flag=True, help="Quote no inputs in the report.")
@click.option("--dry-run", is_flag=True, help="Print the plan with predicted times; train nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def learn_command(logs: tuple[Path, ...], **given: Any) -> None:
    """Learn the cheapest small model that meets the target, and prove it.

    Exit code 0: certified. 4: a useful no, with reasons and remedies. A killed run goes on where it was.

    \b
    Example:
      understudy learn calls.jsonl --target 0.95 --out artefacts/mine
    """
    from understudy import api
    from understudy.cli.options import parse_mapping

    as_json, is_dry = given.pop("as_json"), given.pop("dry_run")
    read = {
        "task": given.pop("task"),
        "mapping": parse_mapping(given.pop("mapping")),
        "log_format": given.pop("log_format"),
        "is_lenient": given.pop("lenient"),
        "max_calls": given.pop("max_calls"),
        "teacher_price": given.pop("teacher_price"),
        "from_ledger": given.pop("from_ledger"),
        "request_kind": given.pop("request_kind"),
        "served_task": given.pop("served_task"),
    }
    if not logs and read["from_ledger"] is None:
        raise click.UsageError("Missing argument 'LOGS...' (or --from-ledger URL).")
    out = given.pop("out")
    given["rungs"] = tuple(name.strip() for name in (given["rungs"] or "").split(",") if name.strip())
    given["keep_texts"] = not given.pop("no_texts")
    options = api.make_options(given)
    _learn(logs, read, out, options, is_dry=is_dry, as_json=as_json)


def _learn(
    logs: tuple[Path, ...], read: dict[str, Any], out: Path, options: Any, *, is_dry: bool, as_json: bool
) -> None:
    from dataclasses import fields

    from rich.console import Console

    from understudy import api
    from understudy.report.console import LiveLadder, print_summary
    from understudy.report.plan import print_plan

    console = Console()
    if is_dry:
        data, inspected = api.read_log(logs, seed=options.seed, **read)
        for line in api.left_out(inspected):
            click.echo(line, err=True)
        plans = api.dry_run(data, options)
        print_plan(plans, options.max_minutes, console, as_json=as_json)
        return
    settings = {one.name: getattr(options, one.name) for one in fields(options)}
    with LiveLadder() as live:
        result = api.learn(logs, out=out, report=live, **read, **settings)
    if as_json:
        click.echo(result.to_json())
    else:
        print_summary(result.facts, console, folder=result.folder)
    if not result.is_certified:
        sys.exit(NothingCertifiedError.exit_code)
