"""``understudy lm train``: a small decoder, from text to a folder that transformers loads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from understudy.cli.lm_options import job_options, make_job, says_what_is_kept, show_progress
from understudy.cli.lm_processes import is_first_process, leave_processes

__all__ = ["train_command"]


@click.command("train")
@job_options
@click.option("--dense", is_flag=True, help="The dense model with as many active parameters instead.")
@click.option(
    "--from",
    "start",
    type=click.Path(path_type=Path),
    help="Go on with the weights and tokenizer of a model's folder, for example an upcycled one.",
)
@click.option(
    "--plan",
    type=click.Path(path_type=Path),
    help="What `plan train --json` printed: shape, tokens and learning rate follow from it.",
)
def train_command(**given: Any) -> None:
    """Train a small decoder on text: a mixture of experts, or --dense.

    A run that was cut goes on where its last checkpoint was: give the same command again. OUT/model is a
    folder for transformers; OUT/steps.jsonl says of every step how loss, gradient and the load of experts were.

    \b
    Example:
      understudy lm train --preset tiny --steps 50 --out lm-tiny
      understudy plan train --params 1e6 --tokens 2e6 --vocabulary 1024 --json > plan.json
      understudy lm train --plan plan.json --out lm-planned
    """
    if given["plan"] is not None:
        _take_plan(given)
    if given["start"] is not None:
        _refuse_shapes(given)
    job, corpus = make_job(given)
    from understudy.lm.job import run_job

    progress = show_progress("train", job.settings.schedule.n_steps, is_quiet=given["quiet"])
    with says_what_is_kept(given["out"]):
        facts = run_job(job, corpus, given["out"], on_step=progress)
    leave_processes()
    if not is_first_process():
        return
    if given["as_json"]:
        click.echo(json.dumps(facts, ensure_ascii=False, indent=1))
    else:
        _show(facts)


def _take_plan(given: dict[str, Any]) -> None:
    """Put what the plan says in place of what the options do not."""
    from understudy.cli.lm_options import need_torch
    from understudy.errors import ConfigError

    need_torch()
    from understudy.lm.from_plan import read_plan

    source = click.get_current_context().get_parameter_source
    if source("preset") is ParameterSource.COMMANDLINE or given["start"] is not None:
        raise ConfigError("--plan says the shape: give neither --preset nor --from beside it")
    run = read_plan(given["plan"], context_tokens=given["sequence"], is_dense=given["dense"])
    given["shape"], given["dense"] = run.shape, False
    if source("steps") is not ParameterSource.COMMANDLINE:
        given["steps"] = run.n_steps(given["batch"] * given["sequence"])
    if source("rate") is not ParameterSource.COMMANDLINE:
        given["rate"] = run.learning_rate


def _refuse_shapes(given: dict[str, Any]) -> None:
    """A model's folder says its shape; options that would change it are a mistake."""
    from understudy.errors import ConfigError

    source = click.get_current_context().get_parameter_source
    for name, option in (
        ("preset", "--preset"),
        ("dense", "--dense"),
        ("gate", "--gate"),
        ("capacity_factor", "--capacity"),
    ):
        if source(name) is ParameterSource.COMMANDLINE:
            raise ConfigError(
                f"{option} cannot be given with --from: the model's folder says its shape",
                given=f"{option} {given[name]}",
            )


def _show(facts: dict[str, Any]) -> None:
    from understudy.units import format_duration, format_share, format_usd

    rows = [
        ("parameters", f"{facts['parameters']:,}, of which {facts['active_parameters']:,} active per token"),
        ("trained on", f"{facts['tokens']:,} tokens in {facts['steps']:,} steps"),
        ("loss", f"{facts['first_loss']:.3f} at first, {facts['last_loss']:.3f} at last (nats per token)"),
        ("held-out loss", f"{facts['valid_loss']:.3f}"),
        ("time", f"{format_duration(facts['seconds'])}, {facts['tokens_per_second']:,.0f} tokens/s"),
        ("MFU", format_share(facts["flops_share"])),
        ("cost", format_usd(facts["cost_usd"])),
    ]
    for number, load in enumerate(facts["end_loads"], 1):
        words = f"busiest {load['busiest_to_mean']:.2f} x mean, {load['n_dead']} dead over the last tenth"
        rows.append(
            (f"experts, layer {number}", f"{words}, gates at cosine {load['gate_cosine']:.3f} to the start")
        )
    rows.append(("model", facts["model"]))
    for name, value in rows:
        click.echo(f"{name:<18}{value}")
