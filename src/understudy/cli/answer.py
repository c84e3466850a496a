"""``understudy answer``: JSON lines in, JSON lines out."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import BinaryIO

import click

__all__ = ["answer_command"]


@click.command("answer")
@click.argument("artefact", type=click.Path(path_type=Path))
@click.argument("source", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Write here instead of to stdout."
)
@click.option("--resume", is_flag=True, help="With --out: go on after the lines that the file holds already.")
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
def answer_command(artefact: Path, source: Path | None, out: Path | None, resume: bool, quiet: bool) -> None:
    """Answer lines of JSON: a string, {"input": ...}, or the task's record, one per line.

    Each line gives one line, in order: output, answered (false: ask the teacher), confidence, rung, fields.

    \b
    Example:
      echo '"Where is my parcel LK-204417?"' | understudy answer demo/support
    """
    from understudy.errors import ConfigError
    from understudy.runtime.answer import load
    from understudy.runtime.stream import StreamCounts, answer_stream, count_finished_lines

    if resume and out is None:
        raise ConfigError("--resume needs --out", todo="give the output file that was being written")
    if source is not None and not source.is_file():
        raise ConfigError("there is no such input file", given=str(source))
    model = load(artefact)
    skip = 0
    target: BinaryIO = sys.stdout.buffer
    if out is not None:
        if out.exists() and not resume and out.stat().st_size:
            raise ConfigError(
                "the output file exists already",
                given=str(out),
                todo="add --resume to go on, or give another --out",
            )
        out.touch()
        target = out.open("r+b")
        skip, end = count_finished_lines(out)
        target.truncate(end)
        target.seek(end)
    begin = time.perf_counter()
    last = [begin]

    def progress(counts: StreamCounts) -> None:
        now = time.perf_counter()
        if not quiet and sys.stderr.isatty() and now - last[0] > 0.5:
            last[0] = now
            click.echo(f"\r{counts.read:,} lines, {_rate(counts.read, now - begin)}", nl=False, err=True)

    stream = source.open("rb") if source is not None else sys.stdin.buffer
    counts = answer_stream(model, stream, target, skip=skip, progress=progress)
    if out is not None:
        target.close()
    if not quiet:
        spent = max(time.perf_counter() - begin, 1e-9)
        click.echo(
            f"{counts.read:,} lines: {counts.answered:,} answered, {counts.deferred:,} for the teacher, "
            f"{counts.refused:,} refused ({_rate(counts.read, spent)})",
            err=True,
        )
    if counts.refused:
        sys.exit(3)


def _rate(count: int, seconds: float) -> str:
    """Lines per second, or for what takes its time per minute."""
    per_s = count / seconds
    return f"{per_s:,.0f}/s" if per_s >= 10 else f"{60 * per_s:,.0f}/min"
