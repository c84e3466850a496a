"""What a command says that was called without what it needs: the names, and its example."""

from __future__ import annotations

import inspect

import click

from understudy.errors import ConfigError

__all__ = ["missing_error", "pasted_example"]


def missing_error(error: click.MissingParameter) -> ConfigError:
    """The same mistake as one of ours: what is needed, what was given of it, and a line that works."""
    context = error.ctx
    if context is None or error.param is None:
        return ConfigError(error.format_message())
    needed = [_name(one) for one in context.command.params if one.required]
    example = pasted_example(context)
    return ConfigError(
        f"{context.command_path.removeprefix('understudy ')} needs {_listed(needed)}",
        given=f"no {_name(error.param)}",
        todo=None if example is None else f"for example: {example}",
    )


def pasted_example(context: click.Context) -> str | None:
    """The first line of the command's help that calls it, with what it goes on over."""
    help_text = "\n".join([inspect.cleandoc(context.command.help or ""), context.command.epilog or ""])
    for line in help_text.replace("\\\n", " ").splitlines():
        words = " ".join(line.split())
        if words.startswith(f"{context.command_path} "):
            return words
    return None


def _name(parameter: click.Parameter) -> str:
    if isinstance(parameter, click.Option):
        return max(parameter.opts, key=len)
    return parameter.human_readable_name


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
