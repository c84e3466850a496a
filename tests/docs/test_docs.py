"""Keeps the pages true: examples run, commands parse, links resolve, the folder map is complete."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from pages import ROOT, Block, anchors_of, blocks_of, command_lines, links_of, page_names, prose_of

from understudy.cli.main import cli

PAGES = page_names()
SOURCE = ROOT / "src" / "understudy"
MODULES = sorted(path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py"))
READMES = ("README.md", "README.zh-CN.md")
RUN_PAGES = [
    # The Chinese README has the same run blocks; a test below holds that.
    name
    for name in PAGES
    if name != "README.zh-CN.md" and any(block.is_run for block in blocks_of(name))
]
SHELL_BLOCKS = [block for name in PAGES for block in blocks_of(name) if command_lines(block)]


def install(folder: Path, block: Block) -> None:
    """Write a block to its file; a ``pyproject.toml`` also as the metadata that an installer would write."""
    assert block.file_name is not None
    (folder / block.file_name).write_text(block.text, encoding="utf-8")
    if block.file_name != "pyproject.toml":
        return
    project = tomllib.loads(block.text)["project"]
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    head = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (info / "METADATA").write_text(head, encoding="utf-8")
    lines = []
    for group, entries in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {target}" for name, target in entries.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture
def own_modules(tour: Path) -> Iterator[None]:
    """Forget the modules that a page brings."""
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "") or "").startswith(str(tour)):
            del sys.modules[name]
    importlib.invalidate_caches()


def run_shell(block: Block) -> None:
    for line in block.text.replace("\\\n", " ").splitlines():
        if not line.strip():
            continue
        done = subprocess.run(["bash", "-o", "pipefail", "-c", line], capture_output=True, text=True)
        where = f"{block.page}:{block.line}: {line}"
        assert done.returncode == 0, f"{where}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        assert "Traceback" not in done.stderr, where


@pytest.mark.usefixtures("own_modules")
@pytest.mark.parametrize("name", RUN_PAGES)
def test_examples_run(name: str, tour: Path, capsys: pytest.CaptureFixture[str]) -> None:
    space: dict[str, object] = {"__name__": "page"}
    for block in blocks_of(name):
        if block.file_name is not None:
            install(tour, block)
            importlib.invalidate_caches()
        elif block.is_run and block.language == "python":
            # Blank lines in front, so that a traceback names the page's own line.
            code = compile("\n" * block.line + block.text, str(ROOT / name), "exec")
            exec(code, space)
        elif block.is_run:
            assert block.language == "sh", f"{name}:{block.line}: only python and sh blocks can be run"
            run_shell(block)
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.usefixtures("own_modules")
def test_the_plugin_of_the_page_climbs_like_any_rung(tour: Path) -> None:
    import understudy

    for block in blocks_of("docs/plugins.md"):
        if block.file_name is not None:
            install(tour, block)
    importlib.invalidate_caches()
    (tour / "queue.toml").write_text(
        'name = "urgent"\n[[field]]\nname = "urgent"\nkind = "boolean"\n', encoding="utf-8"
    )
    result = understudy.learn(
        "seen.jsonl", task="queue.toml", rungs="bayes", target=0.6, of="all", out="artefacts/bayes"
    )
    assert result.is_certified
    assert result.load().answer("The heater is on fire!").rung == "bayes"


def parse(args: list[str]) -> click.Context:
    """Parse one command line without running it."""
    root = cli.make_context("understudy", list(args), resilient_parsing=False)
    rest = [*root._protected_args, *root.args] if hasattr(root, "_protected_args") else root.args
    name, command, more = cli.resolve_command(root, rest)
    assert name is not None
    assert command is not None
    return command.make_context(name, more, parent=root)


@pytest.mark.parametrize("block", SHELL_BLOCKS, ids=lambda block: f"{block.page}:{block.line}")
def test_commands_parse(block: Block) -> None:
    for args in command_lines(block):
        try:
            parse(args)
        except click.exceptions.Exit:
            continue  # --help, --version
        except click.ClickException as error:
            pytest.fail(f"{block.page}:{block.line}: understudy {' '.join(args)}: {error.format_message()}")


def test_a_wrong_option_would_be_found() -> None:
    with pytest.raises(click.NoSuchOption):
        parse(["learn", "calls.jsonl", "--tarket", "0.9"])
    with pytest.raises(click.UsageError):
        parse(["teach", "calls.jsonl"])


def test_options_named_in_prose_exist() -> None:
    known = {"--help", "--version", "--slow"}
    for name in cli.list_commands(click.Context(cli)):
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        known |= {option for parameter in command.params for option in parameter.opts}
    own = (
        "README.md",
        "README.zh-CN.md",
        "docs/learn.md",
        "docs/answer.md",
        "docs/calls.md",
        "docs/report.md",
    )
    for page in own:
        named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", prose_of(page)))
        assert named <= known, f"{page} names options that do not exist: {sorted(named - known)}"


@pytest.mark.parametrize("name", PAGES)
def test_links_resolve(name: str) -> None:
    for target in links_of(name):
        path, _, anchor = target.partition("#")
        at = (ROOT / name).parent / path if path else ROOT / name
        assert at.exists(), f"{name} links to {target}, which is not there"
        if anchor:
            assert anchor in anchors_of(at), f"{name} links to {target}: no such heading"


@pytest.mark.parametrize("name", READMES)
def test_the_folder_map_is_complete(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    named = re.findall(r"^\| `src/understudy/(\w+)` \| \S", text, re.MULTILINE)
    packages = [path.parent.name for path in SOURCE.glob("*/__init__.py")]
    assert sorted(named) == sorted(packages)
    for folder in ("tests", "benchmarks", "docs", "examples"):
        assert f"| `{folder}` |" in text
        assert (ROOT / folder).is_dir()


def test_the_two_readmes_show_the_same_commands_and_code() -> None:
    shown = [
        [(block.language, block.words, block.text) for block in blocks_of(name) if block.is_run]
        for name in READMES
    ]
    assert shown[0] == shown[1]


def test_architecture_names_every_layer_in_order() -> None:
    held = re.search(
        r"^layers =\n((?:    .*\n)+)", (ROOT / ".importlinter").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert held is not None
    layers = [re.findall(r"\w+", line) for line in held[1].splitlines()]
    rows = re.findall(
        r"^\| \d+ \| ((?:`\w+`(?:, )?)+) \|", (ROOT / "docs/architecture.md").read_text("utf-8"), re.MULTILINE
    )
    assert [re.findall(r"\w+", row) for row in rows] == layers


def test_make_targets_named_in_pages_exist() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for name in PAGES:
        text = (ROOT / name).read_text(encoding="utf-8")
        named = set(re.findall(r"(?:^|`)make (\w+)", text, re.MULTILINE))
        assert named <= targets, f"{name} names make targets that do not exist: {sorted(named - targets)}"


def test_learn_page_names_every_option() -> None:
    command = cli.get_command(click.Context(cli), "learn")
    assert command is not None
    page = (ROOT / "docs/learn.md").read_text(encoding="utf-8")
    missing = [
        option for one in command.params for option in one.opts if option[:2] == "--" and option not in page
    ]
    assert missing == []


def kind_and_name(name: str) -> tuple[int, str]:
    """The order of ruff's RUF022: constants, then classes, then the rest, each by name."""
    return (0 if name.isupper() else 1 if name[:1].isupper() else 2), name


@pytest.mark.parametrize("name", MODULES)
def test_modules_say_what_they_are_for(name: str) -> None:
    tree = ast.parse((SOURCE / name).read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), f"{name} has no docstring"
    for node in tree.body:
        if not isinstance(node, ast.Assign):
            continue
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets):
            public = ast.literal_eval(node.value)
            assert list(public) == sorted(public, key=kind_and_name), f"{name}: __all__ is not sorted"
