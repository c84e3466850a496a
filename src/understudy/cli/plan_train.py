"""``understudy plan train``: from a budget or a loss to a model, its data, devices, time and cost."""

from __future__ import annotations

from typing import Any

import click

__all__ = ["train_command"]


@click.command("train")
@click.option("--flop", "flops", type=float, help="Training FLOP.")
@click.option("--usd", type=float, help="Money for accelerators.")
@click.option("--hours", type=float, help="Wall time, with --devices.")
@click.option("--loss", type=float, help="Loss to reach, nats a token.")
@click.option(
    "--params", "parameters", type=float, help="Parameters, on the compute-optimal data or --tokens."
)
@click.option("--like-params", "like_parameters", type=float, help="As good as a compute-optimal model of this size.")  # fmt: skip
@click.option("--tokens", type=float, help="Tokens to train on, with --params.")
@click.option("--inference-tokens", type=float, help="Tokens read and written in the model's life.")
@click.option("--unique-tokens", type=float, help="Tokens there are; beyond them data repeat.")
@click.option("--experts", "n_experts", type=int, help="Also plan a mixture of so many experts (1 to 32).")
@click.option("--device", default="h100-sxm", show_default=True, help="An accelerator of the catalogue.")
@click.option("--devices", type=int, help="How many; by default the fewest on which training fits.")
@click.option("--usd-per-hour", type=float, help="Rent of one device, instead of the catalogue's.")
@click.option("--mfu", type=float, default=0.4, show_default=True, help="Useful share of peak FLOP.")
@click.option(
    "--pue", type=float, default=1.2, show_default=True, help="Power of the building over the devices'."
)
@click.option("--constants", "constants_name", show_default="besiroglu2024", help="Published constants of the scaling law.")  # fmt: skip
@click.option("--runs", metavar="FILE.csv", help="Your own runs: fit the law to them, with intervals.")
@click.option("--column", "columns", multiple=True, metavar="NAME=HEADER", help="Column of the runs: parameters, tokens or flops, loss.")  # fmt: skip
@click.option("--outliers", metavar="RULE", help="Runs to leave out: highest-loss:5, tokens-per-parameter:0.45.")  # fmt: skip
@click.option("--draws", type=int, show_default="1000", help="Of the bootstrap.")
@click.option("--confidence", type=float, show_default="0.9", help="Of the intervals.")
@click.option("--seed", type=int, show_default="0", help="Of the fit and its bootstrap.")
@click.option("--sequence-length", type=int, default=4096, show_default=True, help="Tokens of a sequence.")
@click.option(
    "--micro-batch", type=int, default=1, show_default=True, help="Sequences at a time on a device."
)
@click.option("--recompute", type=click.Choice(["none", "selective", "full"]), default="selective", show_default=True, help="Activations computed again.")  # fmt: skip
@click.option("--zero", "zero_stage", type=click.IntRange(0, 3), default=3, show_default=True, help="ZeRO stage; 3 is FSDP.")  # fmt: skip
@click.option(
    "--vocabulary", "n_vocab", type=int, default=32_000, show_default=True, help="Rows of the embedding."
)
@click.option("--cny-per-usd", type=float, help="Exchange rate; else the catalogue's.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--plot", metavar="FILE", help="Draw loss against size as SVG; with --runs, the runs and the law.")  # fmt: skip
def train_command(n_experts: int | None, *, as_json: bool, plot: str | None, **given: Any) -> None:
    """Plan a training run: how large, on how much data, on what, for how long, at what cost.

    Published constants of the scaling law carry no covariance, so they give no intervals; a law fitted to your
    own runs does.

    \b
    Example:
      understudy plan train --flop 1e21 --device h100-sxm
      understudy plan train --usd 1000
      understudy plan train --like-params 7e9 --inference-tokens 1e11 --constants sardana2024
      understudy plan train --hours 24 --devices 8 --inference-tokens 1e12
      understudy plan train --flop 1e20 --runs examples/plan/runs.csv
    """
    from understudy.cli.plan_table import save_chart
    from understudy.cli.plan_train_view import show_plan
    from understudy.cli.plan_view import print_json
    from understudy.economics.training_memory import Batch
    from understudy.planning.accelerators import accelerator_of
    from understudy.planning.train import plan_training
    from understudy.planning.train_aim import Aim, Means
    from understudy.planning.train_chart import runs_chart, train_chart
    from understudy.planning.train_runs import choose_law

    keys = (
        "flops",
        "usd",
        "hours",
        "loss",
        "parameters",
        "like_parameters",
        "tokens",
        "inference_tokens",
        "unique_tokens",
    )
    aim = Aim(**{key: given[key] for key in keys})
    accelerator, sources = accelerator_of(
        given["device"], usd_per_hour=given["usd_per_hour"], n_devices=given["devices"]
    )
    means = Means(
        accelerator=accelerator,
        devices=given["devices"],
        mfu=given["mfu"],
        pue=given["pue"],
        batch=Batch(given["sequence_length"], given["micro_batch"], given["recompute"]),
        zero_stage=given["zero_stage"],
        n_vocab=given["n_vocab"],
    )
    law, fitted = choose_law(
        given["constants_name"],
        given["runs"],
        columns=_columns(given["columns"]),
        n_draws=given["draws"],
        **{key: given[key] for key in ("outliers", "confidence", "seed")},
    )
    plan = plan_training(aim, means, law=law, n_experts=n_experts, cny_per_usd=given["cny_per_usd"])
    if plot:
        save_chart(train_chart(plan) if fitted is None else runs_chart(plan, fitted), plot)
    if as_json:
        fit = None if fitted is None else fitted.to_dict()
        print_json({**plan.to_dict(), "fit": fit, "sources": sources})
    else:
        show_plan(plan, fitted, sources)


def _columns(pairs: tuple[str, ...]) -> dict[str, str]:
    from understudy.errors import ConfigError

    found = {}
    for pair in pairs:
        name, sign, header = pair.partition("=")
        if not sign:
            raise ConfigError("--column takes NAME=HEADER", given=pair, todo="write --column parameters=N")
        found[name] = header
    return found
