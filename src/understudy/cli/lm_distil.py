"""``understudy lm distil``: a student from a teacher's scores, or from what a log tells of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from understudy.cli.lm_options import says_what_is_kept, show_progress
from understudy.errors import ConfigError, MissingDependencyError

if TYPE_CHECKING:
    from understudy.lm.distil_job import DistilJob

__all__ = ["distil_command"]

_PATH: Any = click.Path(path_type=Path)


@click.command("distil")
@click.option("--teacher", type=_PATH, help="Folder of a causal model of transformers', tokenizer included.")
@click.option("--calls", type=_PATH, multiple=True, help="Log of calls with text answers; may be repeated.")
@click.option(
    "--texts", type=_PATH, help="Without --calls: folder of running text; else Python's own library."
)
@click.option(
    "--loss",
    default="forward_kl",
    show_default=True,
    help="sequence, top_k, forward_kl, reverse_kl, jensen_shannon, skewed_kl, skewed_reverse_kl, on_policy, "
    "chunk_likelihood, shared_vocabulary or rank_sorted.",
)
@click.option(
    "--weight", type=float, default=0.5, show_default=True, help="Of the loss; the rest is cross-entropy."
)
@click.option("--temperature", type=float, default=1.0, show_default=True, help="Of both distributions.")
@click.option("--beta", type=float, default=0.5, show_default=True, help="Of jensen_shannon.")
@click.option("--alpha", type=float, default=0.1, show_default=True, help="Of the skewed divergences.")
@click.option("--tail", default="bucket", show_default=True, help="Of top_k: bucket or renormalise.")
@click.option("--student-share", type=float, default=0.5, show_default=True, help="Of on_policy.")
@click.option("--divergence", default="jensen_shannon", show_default=True, help="Of on_policy.")
@click.option("--student", type=_PATH, help="Folder of the model to go on with; without it one is drawn.")
@click.option(
    "--preset", default="tiny", show_default=True, help="Shape of a drawn student: tiny, small or base."
)
@click.option("--experts", is_flag=True, help="The preset's mixture of experts, not its dense counterpart.")
@click.option(
    "--tokenizer", "tokeniser", help="The student's: a folder, or own to learn one; the teacher's without it."
)
@click.option("--out", type=_PATH, default=Path("lm-distilled"), show_default=True, help="Folder.")
@click.option("--steps", type=int, default=200, show_default=True, help="Steps of the optimiser.")
@click.option("--batch", type=int, default=8, show_default=True, help="Sequences per step.")
@click.option("--micro", type=int, help="Sequences per pass, if memory is short.")
@click.option("--sequence", type=int, default=128, show_default=True, help="Tokens in a sequence.")
@click.option("--rate", type=float, default=3e-3, show_default=True, help="Peak learning rate.")
@click.option("--schedule", default="wsd", show_default=True, help="wsd or cosine.")
@click.option("--warm-up", type=float, default=0.1, show_default=True, help="Share of the steps.")
@click.option("--precision", default="auto", show_default=True, help="float32, bfloat16, or auto.")
@click.option("--checkpoint-every", type=int, default=100, show_default=True, help="Steps.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of weights, split, order and samples.")
@click.option("--threads", type=int, default=1, show_default=True, help="Of the processor.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
def distil_command(**given: Any) -> None:
    """Teach a small decoder what a larger one would say.

    From a log of calls with text answers, or from running text. A local teacher's scores are compared with the
    student's token by token; where their tokenizers differ, use chunk_likelihood, shared_vocabulary or rank_sorted.
    Without a teacher, top_k learns from the log-probabilities in a log of chat completions, sequence from texts alone.
    A run that was cut goes on where its last checkpoint was: give the same command again.

    \b
    Example:
      understudy lm train --preset tiny --dense --steps 20 --out lm-teacher
      understudy lm distil --teacher lm-teacher/model --steps 20 --out lm-distilled
    """
    try:
        import accelerate  # noqa: F401
        import torch
        import transformers  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError.of(str(error.name), "learn") from error
    from understudy.lm.distil_job import run_distil

    job = _job(given)
    torch.set_num_threads(given["threads"])
    progress = show_progress("distil", job.settings.schedule.n_steps, is_quiet=given["quiet"])
    with says_what_is_kept(given["out"]):
        facts = run_distil(job, given["out"], on_step=progress)
    if given["as_json"]:
        click.echo(json.dumps(facts, ensure_ascii=False, indent=1))
    else:
        _show(facts)


def _job(given: dict[str, Any]) -> DistilJob:
    from understudy.lm.distil import Distillation
    from understudy.lm.distil_job import DistilJob
    from understudy.lm.presets import preset
    from understudy.lm.schedule import Schedule
    from understudy.lm.settings import TrainSettings

    if given["threads"] < 1:
        raise ConfigError("--threads must be 1 or more", given=f"--threads {given['threads']}")
    if not 0 <= given["warm_up"] <= 1:
        raise ConfigError("--warm-up must be a share from 0 to 1", given=f"--warm-up {given['warm_up']}")
    if given["calls"] and given["texts"] is not None:
        raise ConfigError("--calls and --texts exclude each other", todo="give one of them")
    shape = preset(given["preset"])
    names = ("loss", "weight", "temperature", "beta", "alpha", "tail", "student_share", "divergence", "seed")
    settings = TrainSettings(
        Schedule(given["steps"], given["schedule"], warm_up_steps=round(given["warm_up"] * given["steps"])),
        learning_rate=given["rate"],
        batch_sequences=given["batch"],
        micro_sequences=given["micro"],
        sequence_tokens=given["sequence"],
        seed=given["seed"],
        precision=given["precision"],
        checkpoint_every=given["checkpoint_every"],
        validate_every=given["checkpoint_every"],
    )
    if settings.sequence_tokens > shape.context_tokens and given["student"] is None:
        raise ConfigError(
            f"--sequence must be at most {shape.context_tokens}, the model's longest",
            given=f"--sequence {settings.sequence_tokens}",
        )
    return DistilJob(
        Distillation(**{name: given[name] for name in names}),
        settings,
        shape if given["experts"] else shape.dense_twin(),
        student=given["student"],
        teacher=given["teacher"],
        calls=tuple(given["calls"]),
        texts=given["texts"],
        tokeniser=given["tokeniser"],
    )


def _show(facts: dict[str, Any]) -> None:
    from understudy.units import format_duration

    teacher = facts["teacher_parameters"]
    rows = [
        ("student", f"{facts['parameters']:,} parameters"),
        ("teacher", "none, the log" if teacher is None else f"{teacher:,} parameters"),
        ("loss", f"{facts['loss']}: {facts['first_loss']:.3f} at first, {facts['last_loss']:.3f} at last"),
        ("held-out", f"{facts['valid_loss']:.3f} nats per token of the recorded text"),
    ]
    if facts["teacher_valid_loss"] is not None:
        rows.append(("teacher's", f"{facts['teacher_valid_loss']:.3f} on the same text"))
    rows += [
        ("time", f"{format_duration(facts['seconds'])} for {facts['steps']:,} steps"),
        ("model", facts["model"]),
    ]
    for name, value in rows:
        click.echo(f"{name:<18}{value}")
