"""The command line's root: finds commands by name and imports only the one that runs."""

from __future__ import annotations

import sys
from typing import Any

import click

from understudy._version import __version__
from understudy.cli.lazy import LazyGroup
from understudy.errors import UnderstudyError

__all__ = ["cli", "main"]

_COMMANDS = {
    "inspect": (
        "understudy.cli.inspect:inspect_command",
        "Show what a log holds and what would be learnt from it.",
    ),
    "learn": ("understudy.cli.learn:learn_command", "Learn the cheapest certified small model from a log."),
    "answer": ("understudy.cli.answer:answer_command", "Answer lines of JSON with an artefact."),
    "evaluate": ("understudy.cli.evaluate:evaluate_command", "Measure an artefact on recorded calls."),
    "tasks": (
        "understudy.cli.tasks:tasks_command",
        "Find the tasks in a mixed log or ledger, and what they cost.",
    ),
    "ledger": ("understudy.cli.ledger:ledger_group", "Add up a ledger, take texts out, or forget them."),
    "label": ("understudy.cli.label:label_command", "Have a large model label inputs, within a budget."),
    "serve": ("understudy.cli.serve:serve_command", "Stand in for the large model behind the OpenAI API."),
    "plan": ("understudy.cli.plan:plan_group", "Plan a small model: train, serve, compare, forecast."),
    "density": ("understudy.cli.density:density_group", "How much ability a parameter carries."),
    "lm": ("understudy.cli.lm:lm_group", "Train small generative models, dense or mixtures of experts."),
}


@click.group(
    cls=LazyGroup,
    commands_at=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="understudy")
def cli() -> None:
    """Turn recorded calls to a large language model into the cheapest small model that does the same job.

    \b
    Start with:
      understudy inspect calls.jsonl
      understudy learn calls.jsonl --out artefacts/mine
      understudy answer artefacts/mine < inputs.jsonl > outputs.jsonl

    Exit codes: 0 done, 2 wrong option, 3 data that cannot be used, 4 nothing certified (the useful no),
    5 damaged artefact, 6 missing package, 7 ledger out of reach, 130 interrupted.
    """


def main(argv: list[str] | None = None) -> Any:
    """Run the command line; user errors print without a traceback and exit with their own code."""
    try:
        code = cli.main(args=argv, prog_name="understudy", standalone_mode=False)
    except UnderstudyError as error:
        click.echo(f"understudy: {error}", err=True)
        sys.exit(error.exit_code)
    except click.MissingParameter as error:
        from understudy.cli.missing import missing_error

        click.echo(f"understudy: {missing_error(error)}", err=True)
        sys.exit(2)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.exceptions.Abort, KeyboardInterrupt):
        click.echo("understudy: interrupted; the same command goes on where it was", err=True)
        sys.exit(130)
    except BrokenPipeError:
        # The reader went away (`| head`): not an error of ours; stdout must not be flushed again at exit.
        sys.stderr.close()
        sys.exit(0)
    sys.exit(code if isinstance(code, int) else 0)
