"""``understudy lm compare``: a mixture of experts beside dense models of equal size."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import click

from understudy.cli.lm_options import job_options, make_job, says_what_is_kept, show_progress
from understudy.cli.lm_processes import is_first_process, leave_processes

__all__ = ["compare_command"]


@click.command("compare")
@job_options
def compare_command(**given: Any) -> None:
    """Train a mixture of experts and its two dense twins, alike in all else, and compare.

    One twin has as many parameters as are active in the mixture, the other as many as the mixture has in all.
    All three see the same tokens in the same order, from weights of the same seed. One seed at a small scale
    shows what a mixture does, not how much it gains at a large one.

    \b
    Example:
      understudy lm compare --preset tiny --steps 50 --out lm-compare
    """
    from understudy.lm.job import compare_shapes, run_job

    job, corpus = make_job(given)
    found: dict[str, dict[str, Any]] = {}
    for name, shape in compare_shapes(job.shape).items():
        progress = show_progress(name, job.settings.schedule.n_steps, is_quiet=given["quiet"])
        folder = given["out"] / name.replace(", ", "-").replace(" ", "-")
        with says_what_is_kept(folder):
            found[name] = run_job(replace(job, shape=shape), corpus, folder, on_step=progress)
    leave_processes()
    if not is_first_process():
        return
    if given["as_json"]:
        click.echo(json.dumps(found, ensure_ascii=False, indent=1))
    else:
        _show(found)


def _show(found: dict[str, dict[str, Any]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from understudy.units import format_bytes

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("model", no_wrap=True)
    for heading in ("parameters", "active", "FLOPs/token", "held-out\nloss", "tokens/s", "training\nmemory"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, facts in found.items():
        table.add_row(
            name,
            f"{facts['parameters']:,}",
            f"{facts['active_parameters']:,}",
            f"{facts['train_flops_per_token']:,}",
            f"{facts['valid_loss']:.3f}",
            f"{facts['tokens_per_second']:,.0f}",
            format_bytes(facts["training_bytes"]),
        )
    Console(width=100).print(table)
    mixture, *twins = found.values()
    for twin, words in zip(twins, ("equal active parameters", "equal total parameters"), strict=True):
        gap = twin["valid_loss"] - mixture["valid_loss"]
        side = "below" if gap > 0 else "above"
        click.echo(
            f"At {words}, the mixture's held-out loss is {abs(gap):.3f} nats per token {side} the dense."
        )
    click.echo("One seed. Training memory: weights, gradients and AdamW's averages; activations come on top.")
