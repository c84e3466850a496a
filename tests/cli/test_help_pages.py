"""The help of every command, groups included: it has an example that stands on lines of its own."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from understudy.cli.main import cli


def commands(group: click.Group, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    context = click.Context(group, info_name="understudy")
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, name
        yield (*words, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*words, name))


ALL = list(commands(cli))


@pytest.mark.parametrize("words", [(), *ALL], ids=" ".join)
def test_help_shows_an_example_as_it_is_to_be_pasted(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    cli.main(args=[*words, "--help"], prog_name="understudy", standalone_mode=False)
    lines = capsys.readouterr().out.splitlines()
    assert "\\b" not in "".join(lines)
    called = " ".join(["understudy", *words])
    examples = [line for line in lines if f"{called} " in line and not line.startswith("Usage:")]
    assert examples, f"no example of {called}"
