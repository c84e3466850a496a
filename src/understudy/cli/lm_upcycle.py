"""``understudy lm upcycle``: a mixture of experts out of a trained dense model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from understudy.errors import MissingDependencyError

__all__ = ["upcycle_command"]


@click.command("upcycle")
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder to write; must not be there yet."
)
@click.option("--scheme", default="copy", show_default=True, help="copy, shared or granular.")
@click.option("--experts", "n_experts", type=int, default=8, show_default=True, help="Routed experts.")
@click.option("--active", "n_active", type=int, default=2, show_default=True, help="Of them, per token.")
@click.option("--shared", "n_shared", type=int, default=1, show_default=True, help="With --scheme shared.")
@click.option("--gate", default="softmax", show_default=True, help="softmax or sigmoid.")
@click.option("--every", type=int, default=1, show_default=True, help="A layer in so many gets experts.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the routers.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def upcycle_command(model: Path, out: Path, as_json: bool, **given: Any) -> None:
    """Make a mixture of experts of a dense Llama: MODEL is a folder for transformers, and so is what is written.

    The mixture computes what the dense model does; the difference is measured and printed. Train on with
    `understudy lm train --from OUT`.

    \b
    Example:
      understudy lm train --preset tiny --dense --steps 50 --out lm-dense
      understudy lm upcycle lm-dense/model --experts 8 --active 2 --out lm-upcycled
    """
    try:
        facts = _upcycle(model, out, **given)
    except ImportError as error:
        raise MissingDependencyError.of(str(error.name), "learn") from error
    if as_json:
        click.echo(json.dumps(facts, ensure_ascii=False, indent=1))
        return
    click.echo(
        f"parameters        {facts['parameters']:,}, of which {facts['active_parameters']:,} active per token"
    )
    click.echo(f"dense model       {facts['dense_parameters']:,}")
    click.echo(
        f"largest change    {facts['largest_change']:.2g} of a logit, where the largest is {facts['largest_logit']:.3g}"
    )
    click.echo(f"model             {facts['model']}")


def _upcycle(model: Path, out: Path, scheme: str, n_shared: int, seed: int, **mixture: Any) -> dict[str, Any]:
    from understudy.errors import ConfigError
    from understudy.lm.decoder import load_decoder, quiet_transformers, shape_of
    from understudy.lm.tokeniser import read_tokeniser, save_tokeniser
    from understudy.lm.upcycle import fitting_experts, largest_change, upcycle

    if out.exists():
        raise ConfigError("the folder to write is there already", given=str(out), todo="give another --out")
    dense = load_decoder(model)
    tokeniser, end = read_tokeniser(model)
    experts = fitting_experts(shape_of(dense).d_ff, scheme, n_shared=n_shared, **mixture)  # type: ignore[arg-type]
    moe = upcycle(dense, experts, scheme=scheme, seed=seed)  # type: ignore[arg-type]
    change, size = largest_change(moe, dense)
    with quiet_transformers():
        moe.save_pretrained(out)
    save_tokeniser(tokeniser, out, end)
    shape = shape_of(moe)
    return {
        "model": str(out),
        "scheme": scheme,
        "parameters": shape.n_parameters(),
        "active_parameters": shape.n_parameters(is_active_only=True),
        "dense_parameters": shape_of(dense).n_parameters(),
        "largest_change": change,
        "largest_logit": size,
    }
