"""``understudy lm compress``: a decoder made smaller step by step, and what each step costs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from understudy.errors import ConfigError, MissingDependencyError

if TYPE_CHECKING:
    from understudy.lm.compress import CompressSettings
    from understudy.lm.corpus import Corpus
    from understudy.lm.quality import MeanLoss
    from understudy.lm.speed import WritingSpeed
    from understudy.lm.versions import Version

__all__ = ["compress_command"]


@click.command("compress")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--steps", default="prune,distil,int8,int4", show_default=True, help="In their order.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write.")
@click.option("--texts", type=click.Path(path_type=Path), help="Folder of texts, as for `lm train`.")
@click.option("--layers", type=int, help="Layers that prune leaves.")
@click.option("--heads", type=int, help="Attention heads that prune leaves.")
@click.option("--kv-heads", type=int, help="Key-value heads that prune leaves.")
@click.option("--channels", type=int, help="Feed-forward channels that prune leaves.")
@click.option("--distil-steps", type=int, default=200, show_default=True, help="Steps of the optimiser.")
@click.option("--rate", type=float, default=1e-3, show_default=True, help="Peak learning rate.")
@click.option("--batch", type=int, default=8, show_default=True, help="Sequences per step.")
@click.option("--sequence", type=int, default=128, show_default=True, help="Tokens in a sequence.")
@click.option("--temperature", type=float, default=1.0, show_default=True, help="Of the distillation.")
@click.option("--label-share", type=float, default=0.0, show_default=True, help="Of the text beside it.")
@click.option("--measure", type=int, default=128, show_default=True, help="Held-out sequences.")
@click.option("--ruler", type=click.Path(path_type=Path), help="For density: from `lm family`.")
@click.option("--tokens", type=float, help="Of the ruler's reference; the most of its family without it.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of order, and of a new split.")
@click.option("--threads", type=int, default=1, show_default=True, help="Of torch.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
def compress_command(model: Path, out: Path, **given: Any) -> None:
    """Prune, distil and quantise MODEL, a folder of `lm train`, and measure size, speed, loss and density each time.

    Steps: prune (fewer layers, heads and channels: three quarters of layers and channels unless you say),
    distil (what was pruned learns from the original), int8, int4, gguf (q4_k_s), gguf-q8_0, gguf-f16 and so on.
    Those after distil are made of the last float model, never of each other.

    Loss is measured on the held-out files of the run that made MODEL, where its text lies beside it; else on
    those of --texts or the standard library.

    \b
    Example:
      understudy lm train --preset tiny --dense --steps 50 --out lm-dense
      understudy lm compress lm-dense/model --steps prune,distil,int8,int4 --distil-steps 20 --out lm-small
    """
    from understudy.cli.lm_options import show_progress

    try:
        settings, corpus = _prepare(model, out, given)
        from understudy.density.ruler import load_ruler
        from understudy.lm.compress import compress
    except ImportError as error:
        raise MissingDependencyError.of(str(error.name), "learn") from error
    versions = compress(
        model,
        corpus,
        settings,
        out,
        ruler=None if given["ruler"] is None else load_ruler(given["ruler"]),
        ruler_tokens=given["tokens"],
        on_version=None if given["quiet"] else _say,
        on_step=show_progress("distil", settings.training.schedule.n_steps, is_quiet=given["quiet"]),
    )
    if given["as_json"]:
        click.echo(json.dumps([version.to_dict() for version in versions], ensure_ascii=False, indent=1))
    else:
        _show(versions)


def _prepare(model: Path, out: Path, given: dict[str, Any]) -> tuple[CompressSettings, Corpus]:
    import torch

    from understudy.lm.compress import CompressSettings, parse_steps
    from understudy.lm.prune import PruneAim
    from understudy.lm.schedule import Schedule
    from understudy.lm.settings import TrainSettings

    if given["threads"] < 1:
        raise ConfigError("--threads must be 1 or more", given=f"--threads {given['threads']}")
    torch.set_num_threads(given["threads"])
    sizes = (given["layers"], given["heads"], given["kv_heads"], given["channels"])
    training = TrainSettings(
        Schedule(given["distil_steps"], warm_up_steps=given["distil_steps"] // 10),
        learning_rate=given["rate"],
        batch_sequences=given["batch"],
        sequence_tokens=given["sequence"],
        seed=given["seed"],
    )
    settings = CompressSettings(
        parse_steps(given["steps"]),
        training,
        aim=None if all(size is None for size in sizes) else PruneAim(*sizes),
        temperature=given["temperature"],
        label_share=given["label_share"],
        measured_sequences=given["measure"],
    )
    return settings, _corpus(model, out, given, training.batch_tokens * training.schedule.n_steps)


def _corpus(model: Path, out: Path, given: dict[str, Any], n_tokens: int) -> Corpus:
    """The text that the model was trained on, so that what was held out then is held out now; else new text."""
    from understudy.lm.corpus import Corpus, CorpusSettings, prepare_corpus
    from understudy.lm.shards import TokenShards
    from understudy.lm.tokeniser import read_tokeniser

    own = read_tokeniser(model)[0].to_str()
    # Beside the model of `lm train`; `lm family` has one text for all its members.
    for folder in model.absolute().parents[:3]:
        theirs = folder / "text"
        if given["texts"] is None and (theirs / "corpus.json").is_file():
            tokeniser, end = read_tokeniser(theirs / "tokenizer")
            if tokeniser.to_str() == own:
                return Corpus(tokeniser, end, TokenShards(theirs / "train"), TokenShards(theirs / "valid"))
    return prepare_corpus(
        out / "text",
        CorpusSettings(
            texts=None if given["texts"] is None else str(given["texts"]),
            train_tokens=n_tokens,
            seed=given["seed"],
            tokeniser=str(model),
        ),
    )


def _say(version: Version) -> None:
    words = (f"{cell} {name}" for name, cell in zip(_HEADS[1:], _cells(version)[1:], strict=True) if cell)
    click.echo(f"{version.step}: {', '.join(words)}".replace("\n", " "), err=True)


_HEADS = (
    "step",
    "parameters",
    "in files",
    "tokens per\nCPU second",
    "held-out loss",
    "more than\nthe original",
)
_DENSITY_HEADS = ("step", "of", "rho before", "rho after", "ratio", "(90 %)", "verdict", "rho per 2 bytes")


def _cells(version: Version) -> list[str]:
    from understudy.units import format_bytes

    def interval(found: MeanLoss | None, sign: str) -> str:
        if found is None:
            return "unknown"
        if found.lower is None:
            return f"{found.value:{sign}.3f}"
        return f"{found.value:{sign}.3f}\n({found.lower:{sign}.3f} to {found.upper:{sign}.3f})"

    return [
        version.step,
        f"{version.n_parameters:,}",
        "unknown" if version.size_bytes is None else format_bytes(version.size_bytes),
        _speed(version.speed),
        interval(version.loss, ""),
        "" if version.made_from is None else interval(version.change, "+"),
    ]


def _speed(speed: WritingSpeed | None) -> str:
    if speed is None:
        return "unknown"
    times = "" if speed.times_reference is None else f"\n({speed.times_reference:.2f} x original)"
    return f"{speed.tokens_per_cpu_second:,.0f}{times}"


def _density_cells(version: Version) -> list[str]:
    from understudy.cli.density_view import between

    def share(value: float | None) -> str:
        return "unknown" if value is None else f"{value:.3g}"

    density = version.density
    ratio = None if density.check is None else density.check.per_parameter
    if version.made_from is None:
        return [version.step, "", "", share(density.rho), "", "", "", share(density.rho_bytes)]
    is_known = ratio is not None and ratio.value is not None
    return [
        version.step,
        version.made_from,
        share(density.rho_before),
        share(density.rho),
        share(ratio.value) if ratio is not None else "unknown",
        between(ratio.lower, ratio.upper) if ratio is not None and is_known else "",
        "unknown" if ratio is None else ratio.verdict,
        share(density.rho_bytes),
    ]


def _show(versions: list[Version]) -> None:
    from understudy.cli.density_view import print_table

    print_table([_cells(version) for version in versions], heads=_HEADS)
    for version in versions:
        if version.reason is not None:
            click.echo(f"{version.step}: unknown, because {version.reason}")
    if any(version.density.check is not None for version in versions):
        print_table([_density_cells(version) for version in versions], heads=_DENSITY_HEADS)
    for reason in dict.fromkeys(one.density.reason for one in versions if one.density.reason):
        click.echo(f"rho: unknown, because {reason}")
    click.echo(
        "Loss in nats per token on held-out text, with intervals of 95 % over its sequences; one seed.\n"
        "Files and speed (one sequence at a time) are those of the exported model; float weights as float32 ONNX.\n"
        "Density per 2 bytes counts float weights as 16 bits. Its intervals are of the ruler alone."
    )
