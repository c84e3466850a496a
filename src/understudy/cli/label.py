"""``understudy label``: a large model labels inputs, within a budget."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from understudy.errors import ConfigError

if TYPE_CHECKING:
    from understudy.teachers.label import Progress
    from understudy.teachers.options import TeacherOptions

__all__ = ["label_command"]

_EXIT_INCOMPLETE = 3


@click.command("label")
@click.argument("inputs", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@click.option(
    "--teacher",
    "urls",
    multiple=True,
    required=True,
    metavar="URL",
    help="An OpenAI-compatible endpoint, with /v1.",
)
@click.option("--model", "models", multiple=True, required=True, help="Its model; one per --teacher.")
@click.option(
    "--task", "task_path", required=True, type=click.Path(path_type=Path), help="Task file, or a JSON Schema."
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="Where to write JSON lines."
)
@click.option(
    "--instructions",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File with the system message, instead of the task's.",
)
@click.option(
    "--max-usd", metavar="USD", help="The most that this may cost, all runs of the same command together."
)
@click.option(
    "--teacher-price",
    "prices",
    multiple=True,
    metavar="PRICE",
    help="Dollars per call, or per million tokens IN/OUT.",
)
@click.option(
    "--key-env",
    "key_envs",
    multiple=True,
    metavar="NAME",
    help="Environment variable with the key; - for none.",
)
@click.option(
    "--plain", "is_plain", is_flag=True, help="Ask for JSON in words, for servers without structured output."
)
@click.option("--rationale", "has_rationale", is_flag=True, help="Ask for a reason before the answer.")
@click.option("--repeats", type=int, default=1, show_default=True, help="Ask each input so often.")
@click.option(
    "--repeat-share",
    type=float,
    default=1.0,
    show_default=True,
    help="Share of inputs that is asked repeatedly.",
)
@click.option("--pick", type=int, metavar="N", help="Label only the N most useful inputs.")
@click.option("--artefact", type=click.Path(path_type=Path), help="With --pick: the current student.")
@click.option("--split", help="Split of lines that bring none (train where inputs are picked).")
@click.option("--temperature", type=float, help="As sent to the model; left to the server if not given.")
@click.option("--max-tokens", type=int, default=1024, show_default=True, help="Longest answer.")
@click.option(
    "--concurrency", type=int, default=8, show_default=True, help="Requests under way at once, at most."
)
@click.option("--retries", type=int, default=6, show_default=True, help="Tries after the first.")
@click.option(
    "--timeout", "timeout_s", type=float, default=120.0, show_default=True, help="Seconds for one try."
)
@click.option(
    "--cache",
    type=click.Path(path_type=Path),
    default=Path(".understudy-cache"),
    show_default=True,
    help="Folder that keeps paid answers.",
)
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Of the draws of --repeat-share and --pick."
)
@click.option("--json", "as_json", is_flag=True, help="Print the whole receipt.")
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
def label_command(
    inputs: Path,
    urls: tuple[str, ...],
    models: tuple[str, ...],
    task_path: Path,
    instructions: Path | None,
    prices: tuple[str, ...],
    key_envs: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Have a large model label inputs, for `understudy learn` to learn from.

    A line of INPUTS is a JSON string, an object with "input", or the task's record; other keys are carried along.
    What is paid for is kept: after an interruption, or for inputs that failed, run the same command again. The
    receipt lies beside the output, in OUT.receipt.json. Exit code 3: something was not labelled.

    \b
    Example:
      understudy label inputs.jsonl --teacher https://api.openai.com/v1 --model gpt-4o-mini \
        --task task.toml --max-usd 5 --out labelled.jsonl
    """
    from understudy.task.spec import load_task
    from understudy.teachers.label import label
    from understudy.teachers.options import LabelOptions

    options = LabelOptions(
        inputs=inputs,
        teachers=_teachers(urls, models, prices, key_envs),
        task=load_task(task_path),
        instructions=None if instructions is None else _read_text(instructions),
        **given,
    )
    if str(inputs) != "-" and not inputs.is_file():
        raise ConfigError("there is no such input file", given=str(inputs))
    shown = _shown(quiet)
    receipt = label(options, shown)
    if shown is not None:
        click.echo(err=True)
    if as_json:
        click.echo(json.dumps(receipt.facts, ensure_ascii=False, indent=1))
    if not quiet:
        for line in receipt.brief():
            click.echo(line, err=True)
    if receipt.n_missing:
        click.echo(
            f"understudy: {receipt.n_missing:,} answers are missing; the same command asks for those only",
            err=True,
        )
    if not receipt.is_complete:
        sys.exit(_EXIT_INCOMPLETE)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            "the instructions cannot be read", given=f"{path}: {error.__class__.__name__}"
        ) from error


def _teachers(
    urls: Sequence[str], models: Sequence[str], prices: Sequence[str], key_envs: Sequence[str]
) -> tuple[TeacherOptions, ...]:
    from understudy.teachers.options import TeacherOptions

    if len(urls) != len(models):
        raise ConfigError(
            "--teacher and --model come in pairs", given=f"{len(urls)} of the one, {len(models)} of the other"
        )
    for name, values in (("--teacher-price", prices), ("--key-env", key_envs)):
        if values and len(values) != len(urls):
            raise ConfigError(
                f"{name} is given for some teachers only",
                given=f"{len(values)} for {len(urls)} teachers",
                todo=f"give {name} once per --teacher, in the same order, or not at all",
            )
    return tuple(
        TeacherOptions(
            url=url,
            model=model,
            price=prices[at] if prices else None,
            key_env=key_envs[at] if key_envs else None,
        )
        for at, (url, model) in enumerate(zip(urls, models, strict=True))
    )


def _shown(quiet: bool) -> Callable[[Progress], None] | None:
    if quiet or not sys.stderr.isatty():
        return None
    from understudy.units import format_usd

    begin, last = time.perf_counter(), [0.0]

    def show(at: Progress) -> None:
        now = time.perf_counter()
        if now - last[0] > 0.5:
            last[0] = now
            rate = at.n_lines / max(now - begin, 1e-9)
            spent = format_usd(at.spent_nanousd / 1e9)
            click.echo(
                f"\r{at.n_lines:,} lines ({rate:,.1f}/s), {at.n_cached:,} from the cache, {at.n_failed:,} failed, "
                f"{spent} counted ",
                nl=False,
                err=True,
            )

    return show
