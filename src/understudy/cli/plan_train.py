"""``understudy plan train``: from a budget or a loss to a model, its data, devices, time and cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from understudy.planning.train import TrainPlan

__all__ = ["train_command"]


@click.command("train")
@click.option("--flop", "flops", type=float, help="Training FLOP.")
@click.option("--usd", type=float, help="Money for accelerators.")
@click.option("--hours", type=float, help="Wall time, with --devices.")
@click.option("--loss", type=float, help="Loss to reach, nats a token.")
@click.option(
    "--params", "parameters", type=float, help="Parameters, on the compute-optimal data or --tokens."
)
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
@click.option("--constants", "constants_name", default="besiroglu2024", show_default=True, help="Constants of the scaling law.")  # fmt: skip
@click.option("--sequence-length", type=int, default=4096, show_default=True, help="Tokens of a sequence.")
@click.option(
    "--micro-batch", type=int, default=1, show_default=True, help="Sequences at a time on a device."
)
@click.option("--recompute", type=click.Choice(["none", "selective", "full"]), default="selective", show_default=True, help="Activations computed again.")  # fmt: skip
@click.option("--zero", "zero_stage", type=click.IntRange(0, 3), default=3, show_default=True, help="ZeRO stage; 3 is FSDP.")  # fmt: skip
@click.option(
    "--vocabulary", "n_vocab", type=int, default=32_000, show_default=True, help="Rows of the embedding."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--plot", metavar="FILE", help="Draw loss against size as SVG.")
def train_command(
    constants_name: str, n_experts: int | None, *, as_json: bool, plot: str | None, **given: Any
) -> None:
    """Plan a training run: how large, on how much data, on what, for how long, at what cost.

    \b
    Example:
      understudy plan train --flop 1e21 --device h100-sxm
      understudy plan train --usd 1000
      understudy plan train --hours 24 --devices 8 --inference-tokens 1e12
    """
    from understudy.cli.plan_table import save_chart
    from understudy.cli.plan_view import print_json
    from understudy.economics.training_memory import Batch
    from understudy.planning.accelerators import accelerator_of
    from understudy.planning.train import plan_training
    from understudy.planning.train_aim import Aim, Means
    from understudy.planning.train_chart import train_chart

    keys = ("flops", "usd", "hours", "loss", "parameters", "tokens", "inference_tokens", "unique_tokens")
    accelerator, sources = accelerator_of(given["device"], usd_per_hour=given["usd_per_hour"])
    means = Means(
        accelerator=accelerator,
        devices=given["devices"],
        mfu=given["mfu"],
        pue=given["pue"],
        batch=Batch(given["sequence_length"], given["micro_batch"], given["recompute"]),
        zero_stage=given["zero_stage"],
        n_vocab=given["n_vocab"],
    )
    plan = plan_training(
        Aim(**{key: given[key] for key in keys}), means, constants_name=constants_name, n_experts=n_experts
    )
    if plot:
        save_chart(train_chart(plan), plot)
    if as_json:
        print_json({**plan.to_dict(), "sources": sources})
    else:
        _show(plan, sources)


def _show(plan: TrainPlan, sources: dict[str, str]) -> None:
    from understudy.cli.plan_view import brief, print_table, print_words

    print_words(plan.sentence, style="bold")
    rows = [
        [
            one.kind,
            brief(one.parameters),
            brief(one.tokens),
            f"{one.tokens / one.parameters:.3g}",
            brief(one.training_flops),
            f"{one.loss:.3f}",
            "-" if one.epochs is None else f"{one.epochs:.2g}",
            "-" if one.life_flops is None else brief(one.life_flops),
        ]
        for one in plan.variants
    ]
    heads = ["plan", "parameters", "tokens", "per param.", "FLOP", "loss", "passes", "life FLOP"]
    print_table(heads, rows, right=range(1, 8))
    for words in plan.chosen.warnings:
        print_words(f"note: {words}", style="dim")
    _show_means(plan)
    _show_mixture(plan)
    print_table(
        ["constants", "parameters", "tokens", "FLOP", "cost", "source"],
        [
            [
                row.constants,
                brief(row.parameters),
                brief(row.tokens),
                brief(row.training_flops),
                "unknown" if row.usd is None else f"${row.usd:,.0f}",
                row.reason or f"{row.source}, {row.year}",
            ]
            for row in plan.sensitivity
        ],
        right=[1, 2, 3, 4],
        title="The same question under each set of constants",
    )
    for name, words in sources.items():
        print_words(f"{name}: {words}", style="dim")


def _show_means(plan: TrainPlan) -> None:
    from understudy.cli.plan_view import brief, print_table
    from understudy.economics.transformer.parameters import count_parameters
    from understudy.units import format_bytes, format_usd

    shape, cost = plan.shape, plan.cost
    heads = f"{shape.n_heads} heads ({shape.n_kv_heads} key-value)"
    length = plan.means.batch.sequence_length
    attention = f"{100 * plan.attention_share:.1f} % of FLOP at {length:,} tokens, not in the figures below"
    rows = [
        ["shape", f"{shape.n_layers} layers, width {shape.d_model:,}, {heads}, feed-forward {shape.d_ff:,}"],
        ["its parameters", f"{count_parameters(shape).total:,}"],
        ["attention adds", attention],
        ["accelerator hours", f"{cost.device_hours:,.1f} at {100 * cost.mfu:g} % MFU"],
        ["devices", "unknown" if cost.devices is None else f"{cost.devices:,}"],
        ["wall time", "unknown" if cost.wall_hours is None else f"{cost.wall_hours:,.1f} hours"],
        ["rent", format_usd(cost.usd)],
        ["energy", f"{brief(cost.kwh, 'kWh')} at PUE {cost.pue:g}"],
    ]
    if plan.sharding is None or plan.memory is None:
        rows.append(["fewest devices", "unknown: no memory is known, or a layer is too large for one device"])
    else:
        one, memory = plan.sharding, plan.memory
        parallel = f"data {one.data}, tensor {one.tensor}, pipeline {one.pipeline}, ZeRO {one.zero_stage}"
        states = format_bytes(memory.total_bytes - memory.activation_bytes)
        activations = f"{format_bytes(memory.activation_bytes)} ({plan.means.batch.recompute} recomputation)"
        total = format_bytes(memory.total_bytes)
        rows += [
            ["fewest devices", f"{one.devices:,} ({parallel})"],
            ["memory a device", f"{total}: states {states}, activations {activations}"],
        ]
    print_table(["", ""], rows)


def _show_mixture(plan: TrainPlan) -> None:
    from understudy.cli.plan_view import brief, print_table, print_words
    from understudy.units import format_bytes

    mixture = plan.mixture
    if mixture is None:
        return
    print_table(
        ["same FLOP", "active", "total", "tokens", "loss", "16-bit weights"],
        [
            ["dense", brief(mixture.dense_parameters), brief(mixture.dense_parameters),
             brief(mixture.dense_tokens), f"{mixture.dense_loss:.3f}",
             format_bytes(mixture.dense_serving_bytes)],
            [f"{mixture.n_experts} experts", brief(mixture.active_parameters), brief(mixture.total_parameters),
             brief(mixture.tokens), f"{mixture.loss:.3f}", format_bytes(mixture.serving_bytes)],
        ],
        right=range(1, 6),
        title="A mixture of experts (law of Ludziejewski et al. 2025: one expert a token)",
    )  # fmt: skip
    if mixture.equal_loss_flops_share is not None:
        share = 100 * mixture.equal_loss_flops_share
        print_words(f"The mixture needs {share:.0f} % of the dense model's FLOP for the dense model's loss.")
    for words in mixture.warnings:
        print_words(f"note: {words}", style="dim")
