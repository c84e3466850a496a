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
def train_command(**given: Any) -> None:
    """Train a small decoder on text: a mixture of experts, or --dense.

    A run that was cut goes on where its last checkpoint was: give the same command again. OUT/model is a
    folder for transformers; OUT/steps.jsonl says of every step how loss, gradient and the load of experts were.

    \b
    Example:
      understudy lm train --preset tiny --steps 50 --out lm-tiny
    """
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
