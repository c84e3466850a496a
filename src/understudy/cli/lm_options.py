"""What ``lm train`` and ``lm compare`` share: options, the job they make, progress on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from understudy.cli.lm_processes import is_first_process, run_in_processes
from understudy.errors import ConfigError, MissingDependencyError

if TYPE_CHECKING:
    from understudy.lm.config import DecoderConfig
    from understudy.lm.corpus import Corpus
    from understudy.lm.job import Job
    from understudy.lm.pace import Pace
    from understudy.lm.record import StepRecord
    from understudy.lm.settings import TrainSettings

__all__ = ["job_options", "make_job", "need_torch", "says_what_is_kept", "show_progress"]

_Command = TypeVar("_Command", bound=Callable[..., Any])
_TERMINAL_SECONDS, _LOG_SECONDS = 0.5, 10.0


def job_options(command: _Command) -> _Command:
    """Add the options of a training job to a command."""
    for option in reversed(
        [
            click.option("--preset", default="tiny", show_default=True, help="Shape: tiny, small or base."),
            click.option("--steps", type=int, default=200, show_default=True, help="Steps of the optimiser."),
            click.option(
                "--out",
                type=click.Path(path_type=Path),
                default=Path("lm-out"),
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
            click.option("--rate", type=float, default=3e-3, show_default=True, help="Peak learning rate."),
            click.option("--schedule", default="wsd", show_default=True, help="wsd or cosine."),
            click.option("--warm-up", type=float, default=0.1, show_default=True, help="Share of the steps."),
            click.option("--balance", default="switch", show_default=True, help="switch, bias or none."),
            click.option(
                "--bias-rate", type=float, default=0.01, show_default=True, help="Step, with --balance bias."
            ),
            click.option("--gate", help="softmax or sigmoid; the preset's without it."),
            click.option(
                "--capacity",
                "capacity_factor",
                type=float,
                help="Capacity factor; without it no token is dropped.",
            ),
            click.option(
                "--precision", default="auto", show_default=True, help="float32, bfloat16, or auto."
            ),
            click.option("--checkpoint-every", type=int, default=100, show_default=True, help="Steps."),
            click.option(
                "--seed", type=int, default=0, show_default=True, help="Of weights, split and order."
            ),
            click.option(
                "--threads",
                type=int,
                default=1,
                show_default=True,
                help="More pay where the model is not tiny and cores are free.",
            ),
            click.option(
                "--processes",
                type=int,
                default=1,
                show_default=True,
                help="Processes that share each step's sequences; on GPUs, one for each.",
            ),
            click.option(
                "--compile", "is_compiled", is_flag=True, help="Compile the model with torch.compile."
            ),
            click.option("--hour-usd", type=float, help="Price of this machine for an hour."),
            click.option(
                "--peak-tflops",
                type=float,
                help="Peak of a process's processor; measured with a product without it.",
            ),
            click.option("--json", "as_json", is_flag=True, help="Print the result as JSON."),
            click.option("--quiet", is_flag=True, help="No progress on stderr."),
        ]
    ):
        command = option(command)
    return command


def need_torch() -> None:
    """Say what to install where a package to train with is missing.

    Raises
    ------
    MissingDependencyError
        If torch, transformers or accelerate are not installed.
    """
    try:
        import accelerate  # noqa: F401
        import torch  # noqa: F401
        import transformers  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError.of(str(error.name), "learn") from error


def make_job(given: dict[str, Any]) -> tuple[Job, Corpus]:
    """Check the options, prepare the text in ``OUT/text``, and measure the processor.

    With ``--processes``, it does not return here: the command runs anew in each of them, and this process ends with
    their exit code.

    Raises
    ------
    ConfigError
        On an option out of range.
    MissingDependencyError
        If torch, transformers or accelerate are not installed.
    """
    need_torch()
    import torch

    from understudy.lm.corpus import CorpusSettings, prepare_corpus
    from understudy.lm.job import Job
    from understudy.lm.processes import check_shares, processes

    for name in ("threads", "processes"):
        if given[name] < 1:
            raise ConfigError(f"--{name} must be 1 or more", given=f"--{name} {given[name]}")
    start: Path | None = given.get("start")
    shape, settings = _shape(given, start), _settings(given)
    if settings.sequence_tokens > shape.context_tokens:
        raise ConfigError(
            f"--sequence must be at most {shape.context_tokens}, the model's longest",
            given=f"--sequence {settings.sequence_tokens}",
        )
    check_shares(settings.batch_sequences, given["processes"])
    code = run_in_processes(given["processes"], sys.argv[1:], threads=given["threads"])
    if code is not None:
        sys.exit(code)
    here = processes()
    torch.set_num_threads(given["threads"])
    wanted = CorpusSettings(
        texts=None if given["texts"] is None else str(given["texts"]),
        vocab_size=shape.vocab_size,
        train_tokens=settings.schedule.n_steps * settings.batch_tokens,
        seed=given["seed"],
        tokeniser=None if start is None else str(start),
    )
    with here.main_process_first():  # the others find it there
        corpus = prepare_corpus(given["out"] / "text", wanted)
    peak = given["peak_tflops"]
    peak_flops = here.num_processes * (_measured_peak(settings.precision) if peak is None else peak * 1e12)
    return Job(shape, settings, given["seed"], start, peak_flops, given["hour_usd"]), corpus


def _shape(given: dict[str, Any], start: Path | None) -> DecoderConfig:
    """Give the preset's shape as the options change it, or that of the model to start from."""
    from dataclasses import replace

    from understudy.lm.decoder import load_decoder, shape_of
    from understudy.lm.presets import preset

    if start is not None:
        return shape_of(load_decoder(start))
    planned: DecoderConfig | None = given.get("shape")
    shape = preset(given["preset"]) if planned is None else planned
    changes = {name: given[name] for name in ("gate", "capacity_factor") if given[name] is not None}
    if shape.experts is not None:
        shape = replace(shape, experts=replace(shape.experts, **changes))
    return shape.dense_twin() if given.get("dense") else shape


def _settings(given: dict[str, Any]) -> TrainSettings:
    from understudy.lm.balance import BalanceSettings
    from understudy.lm.schedule import Schedule
    from understudy.lm.settings import TrainSettings

    if not 0 <= given["warm_up"] <= 1:
        raise ConfigError("--warm-up must be a share from 0 to 1", given=f"--warm-up {given['warm_up']}")
    return TrainSettings(
        Schedule(given["steps"], given["schedule"], warm_up_steps=round(given["warm_up"] * given["steps"])),
        learning_rate=given["rate"],
        batch_sequences=given["batch"],
        micro_sequences=given["micro"],
        sequence_tokens=given["sequence"],
        balance=BalanceSettings(given["balance"], bias_rate=given["bias_rate"]),
        seed=given["seed"],
        precision=given["precision"],
        is_compiled=given["is_compiled"],
        checkpoint_every=given["checkpoint_every"],
        validate_every=given["checkpoint_every"],
    )


def _measured_peak(precision: str) -> float:
    """Operations per second of this processor, in the arithmetic that the loop will use."""
    import torch

    from understudy.lm.pace import measure_peak_flops
    from understudy.lm.processes import processes
    from understudy.training.loop import computes_in_bfloat16

    device = processes().device
    is_short = precision == "bfloat16" or (precision == "auto" and computes_in_bfloat16(device.type))
    return measure_peak_flops(device, torch.bfloat16 if is_short else torch.float32)


def show_progress(name: str, n_steps: int, *, is_quiet: bool) -> Callable[[StepRecord, Pace], None] | None:
    """Give a callback that says on stderr where a run is: one line on a terminal, now and then one elsewhere."""
    if is_quiet or not is_first_process():
        return None
    is_terminal = sys.stderr.isatty()
    last = [0.0]

    def show(record: StepRecord, pace: Pace) -> None:
        now = time.monotonic()
        is_last = record.step == n_steps
        if not is_last and now - last[0] < (_TERMINAL_SECONDS if is_terminal else _LOG_SECONDS):
            return
        last[0] = now
        line = f"{name}: step {record.step:,} of {n_steps:,}, loss {record.loss:.3f}{_pace_words(pace)}"
        if is_terminal:
            click.echo(f"\r\033[K{line}", nl=is_last, err=True)
        else:
            click.echo(line, err=True)

    return show


def _pace_words(pace: Pace) -> str:
    from understudy.units import format_duration, format_share, format_usd

    words = ""
    if pace.tokens_per_second is not None:
        words += f", {pace.tokens_per_second:,.0f} tokens/s"
    if pace.flops_share is not None:
        words += f", MFU {format_share(pace.flops_share)}"
    if pace.seconds_left:
        words += f", {format_duration(pace.seconds_left)} left"
    if pace.cost_usd is not None:
        words += f", {format_usd(pace.cost_usd)} so far"
    return words


@contextmanager
def says_what_is_kept(folder: Path) -> Iterator[None]:
    """Where a run is interrupted, say on stderr which checkpoint it goes on from."""
    try:
        yield
    except KeyboardInterrupt:
        from understudy.lm.checkpoint import list_checkpoints

        if is_first_process():
            kept = list_checkpoints(folder / "checkpoints")
            where = f"from {kept[-1]}" if kept else "from the start: no checkpoint was written yet"
            click.echo(f"\nstopped; the run goes on {where}", err=True)
        raise
