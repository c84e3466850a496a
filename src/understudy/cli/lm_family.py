"""``understudy lm family``: models that differ in size and data only, and a larger one foretold before it is trained."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from understudy.cli.lm_family_view import draw_family, show_family, show_plan
from understudy.cli.lm_options import need_torch, says_what_is_kept, show_progress
from understudy.cli.lm_processes import is_first_process, leave_processes, run_in_processes
from understudy.errors import ConfigError

if TYPE_CHECKING:
    from understudy.lm.family import Member
    from understudy.lm.family_forecast import Forecast

__all__ = ["family_command"]

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _options(command: _Command) -> _Command:
    for option in reversed(
        [
            click.option("--sizes", default="12e3,24e3,48e3", show_default=True, help="Parameters."),
            click.option("--multiples", default="8,20,50", show_default=True, help="Tokens per parameter."),
            click.option(
                "--held-out",
                type=float,
                default=96e3,
                show_default=True,
                help="Parameters of the one to predict.",
            ),
            click.option(
                "--held-out-multiple", type=float, help="Its tokens per parameter; the middle one of all."
            ),
            click.option(
                "--vocabulary", type=int, default=512, show_default=True, help="Tokens of the tokenizer."
            ),
            click.option(
                "--out",
                type=click.Path(path_type=Path),
                default=Path("lm-family"),
                show_default=True,
                help="Folder.",
            ),
            click.option(
                "--texts",
                type=click.Path(path_type=Path),
                help="Folder of .py, .txt, .md and .rst files; without it, Python's own standard library.",
            ),
            click.option("--batch", type=int, default=8, show_default=True, help="Sequences per step."),
            click.option("--micro", type=int, help="Sequences per pass, if memory is short."),
            click.option(
                "--sequence", type=int, default=128, show_default=True, help="Tokens in a sequence."
            ),
            click.option(
                "--rate-factor",
                type=float,
                default=1.0,
                show_default=True,
                help="On the rule's learning rates.",
            ),
            click.option("--schedule", default="wsd", show_default=True, help="wsd or cosine."),
            click.option("--warm-up", type=float, default=0.1, show_default=True, help="Share of the steps."),
            click.option(
                "--precision", default="auto", show_default=True, help="float32, bfloat16, or auto."
            ),
            click.option("--confidence", type=float, default=0.9, show_default=True, help="Of the interval."),
            click.option("--checkpoint-every", type=int, default=200, show_default=True, help="Steps."),
            click.option(
                "--seed", type=int, default=0, show_default=True, help="Of weights, split and order."
            ),
            click.option("--threads", type=int, default=1, show_default=True, help="Of each process."),
            click.option("--processes", type=int, default=1, show_default=True, help="That share each step."),
            click.option("--hour-usd", type=float, help="Price of this machine for an hour."),
            click.option("--plot", metavar="FILE.svg", help="Draw loss against training compute."),
            click.option(
                "--dry-run", is_flag=True, help="Print what would be trained, how long it takes, and stop."
            ),
            click.option("--json", "as_json", is_flag=True, help="Print the result as JSON."),
            click.option("--quiet", is_flag=True, help="No progress on stderr."),
        ]
    ):
        command = option(command)
    return command


@click.command("family")
@_options
def family_command(**given: Any) -> None:
    """Train a family of dense decoders, foretell a larger one's loss, then train it and report the miss.

    All members see the same text with one recipe: shapes and learning rates follow from size and tokens. OUT/family.csv
    is a table for density fit-ruler and plan train. A run that was cut goes on where it was: give the same command.

    \b
    Example:
      understudy lm family --dry-run
    """
    need_torch()
    from understudy.lm.family import train_member
    from understudy.lm.family_forecast import fit_family, forecast_loss

    if not 0 < given["confidence"] < 1:
        raise ConfigError("--confidence must be between 0 and 1", given=f"--confidence {given['confidence']}")
    members = _members(given)
    if given["dry_run"]:
        show_plan(members, given)
        return
    corpus = _prepare(given, members)
    out = given["out"]
    rows: list[dict[str, Any]] = []
    forecast: Forecast | None = None
    for number, member in enumerate(members, 1):
        if member.is_held_out:
            forecast = forecast_loss(
                fit_family(rows, seed=given["seed"]),
                member.n_parameters,
                member.n_tokens,
                confidence=given["confidence"],
            )
            if is_first_process():
                _say_forecast(member, forecast, out, is_quiet=given["quiet"])
        words = f"{number} of {len(members)}: {member.n_parameters:,} parameters, {member.n_tokens:,} tokens"
        progress = show_progress(words, member.settings.schedule.n_steps, is_quiet=given["quiet"])
        with says_what_is_kept(out / "members" / member.name):
            rows.append(
                train_member(
                    member,
                    corpus,
                    out / "members",
                    seed=given["seed"],
                    hour_usd=given["hour_usd"],
                    on_step=progress,
                )
            )
    leave_processes()
    assert forecast is not None, "one member is held out"
    if is_first_process():
        _finish(rows, forecast, given)


def _members(given: dict[str, Any]) -> tuple[Member, ...]:
    from understudy.lm.family import plan_family
    from understudy.lm.schedule import Schedule
    from understudy.lm.settings import TrainSettings

    multiples = _numbers("--multiples", given["multiples"])
    if not 0 <= given["warm_up"] <= 1:
        raise ConfigError("--warm-up must be a share from 0 to 1", given=f"--warm-up {given['warm_up']}")
    some = 1000  # steps, replaced for each member
    base = TrainSettings(
        Schedule(some, given["schedule"], warm_up_steps=round(given["warm_up"] * some)),
        batch_sequences=given["batch"],
        micro_sequences=given["micro"],
        sequence_tokens=given["sequence"],
        seed=given["seed"],
        precision=given["precision"],
        checkpoint_every=given["checkpoint_every"],
        validate_every=sys.maxsize,
        validate_sequences=256,
    )
    return plan_family(
        _numbers("--sizes", given["sizes"]),
        multiples,
        held_out=given["held_out"],
        held_out_multiple=given["held_out_multiple"] or sorted(multiples)[len(multiples) // 2],
        vocab_size=given["vocabulary"],
        base=base,
        rate_factor=given["rate_factor"],
    )


def _numbers(option: str, text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError(f"{option} takes numbers with commas between them", given=text) from None


def _prepare(given: dict[str, Any], members: Sequence[Member]) -> Any:
    """Make the text ready, in as many processes as were asked for."""
    import torch

    from understudy.lm.corpus import CorpusSettings, prepare_corpus
    from understudy.lm.processes import check_shares, processes

    check_shares(given["batch"], given["processes"])
    code = run_in_processes(given["processes"], sys.argv[1:], threads=given["threads"])
    if code is not None:
        sys.exit(code)
    here = processes()
    torch.set_num_threads(given["threads"])
    wanted = CorpusSettings(
        texts=None if given["texts"] is None else str(given["texts"]),
        vocab_size=given["vocabulary"],
        train_tokens=max(member.n_tokens for member in members),
        seed=given["seed"],
    )
    with here.main_process_first():
        return prepare_corpus(given["out"] / "text", wanted)


def _say_forecast(member: Member, forecast: Forecast, out: Path, *, is_quiet: bool) -> None:
    """Put the forecast down before the member is trained."""
    facts = {"model": member.name, **forecast.to_dict()}
    (out / "forecast.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")
    if not is_quiet:
        click.echo(
            f"forecast for {member.n_parameters:,} parameters and {member.n_tokens:,} tokens, from "
            f"{forecast.n_members} members: loss {forecast.loss:.3f} ({forecast.low:.3f} to {forecast.high:.3f})",
            err=True,
        )


def _finish(rows: list[dict[str, Any]], forecast: Forecast, given: dict[str, Any]) -> None:
    out: Path = given["out"]
    table, points = out / "family.csv", out / "family.jsonl"
    with table.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    points.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    measured = rows[-1]["loss"]
    found = {
        "members": rows,
        "forecast": forecast.to_dict(),
        "measured": measured,
        "miss": measured - forecast.loss,
        "is_inside": forecast.holds(measured),
        "table": str(table),
    }
    if given["plot"]:
        draw_family(rows, forecast, given["plot"])
    if given["as_json"]:
        click.echo(json.dumps(found, indent=1))
        return
    show_family(found, given["confidence"], given["vocabulary"])
