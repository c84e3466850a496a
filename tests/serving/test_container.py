"""The container file, as far as it can be checked without an engine: its parts fit the project."""

from __future__ import annotations

import fnmatch
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from serving.conftest import Served
from understudy.cli.main import cli

ROOT = Path(__file__).resolve().parents[2]
Serve = Callable[..., Served]


def instructions() -> list[tuple[str, str]]:
    """Name and rest of each instruction, continued lines joined."""
    text = (ROOT / "Containerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in lines)]


def only(name: str) -> str:
    (found,) = [rest for one, rest in instructions() if one == name]
    return found


def test_every_instruction_is_known() -> None:
    known = set("FROM ARG WORKDIR COPY RUN ENV USER VOLUME EXPOSE HEALTHCHECK ENTRYPOINT CMD".split())
    assert {name for name, _ in instructions()} == known


def test_the_extras_exist_and_bring_no_torch() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = only("ARG").removeprefix("EXTRAS=").split(",")
    assert extras == ["postgres"]
    wanted = [
        *project["dependencies"],
        *(one for extra in extras for one in project["optional-dependencies"][extra]),
    ]
    names = {re.split(r"[\[<>=!~ ]", one)[0] for one in wanted}
    assert not names & {"torch", "transformers", "scikit-learn", "polars"}
    version = re.search(r"python:(\d+\.\d+)-slim", (ROOT / "Containerfile").read_text(encoding="utf-8"))
    assert version is not None
    assert f"Programming Language :: Python :: {version[1]}" in project["classifiers"]


def test_what_is_copied_is_there_and_let_through() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    let_through = [line[1:] for line in ignored if line.startswith("!")]
    copies = [rest.split() for name, rest in instructions() if name == "COPY" and "--from" not in rest]
    sources = [source.removeprefix("./") for *found, _target in copies for source in found]
    assert sorted(sources) == sorted(let_through)
    for source in sources:
        assert (ROOT / source).exists()
        assert any(
            fnmatch.fnmatch(source, pattern) for pattern in ignored if not pattern.startswith(("!", "#"))
        )
    built = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    needed = [built["project"]["readme"], *built["project"]["license-files"], "pyproject.toml", "src"]
    assert sorted(needed) == sorted(sources), "what the build reads is what is copied"


def test_the_start_parses() -> None:
    entry, default = json.loads(only("ENTRYPOINT")), json.loads(only("CMD"))
    assert entry[:2] == ["understudy", "serve"]
    command = cli.get_command(click.Context(cli), "serve")
    assert command is not None
    given = command.make_context("serve", [*entry[2:], *default, "--workers", "2"]).params
    assert (str(given["config"]), given["log_format"]) == ("/etc/understudy/serve.toml", "json")


def test_it_runs_as_a_number_and_writes_in_its_volume() -> None:
    user, group = only("USER").split(":")
    assert int(user) > 0
    assert int(group) > 0
    (volume,) = json.loads(only("VOLUME"))
    assert [rest for name, rest in instructions() if name == "WORKDIR"][-1] == volume


def test_the_health_check_tells_well_from_ill(plain_artefact: Path, serve: Serve) -> None:
    served = serve(plain_artefact)
    python, flag, script = json.loads(only("HEALTHCHECK").partition(" CMD ")[2])
    assert (python, flag) == ("python", "-c")
    port = only("EXPOSE")
    assert script.count(port) == 1
    script = script.replace(port, str(served.running.port))

    def status() -> int:
        return subprocess.run(
            [sys.executable, "-c", script], stderr=subprocess.DEVNULL, timeout=20
        ).returncode

    assert status() == 0
    served.server.is_ready = False
    assert status() == 1
    served.server.is_ready = True
    script = script.replace(str(served.running.port), "9")
    assert status() == 1


@pytest.mark.parametrize("page", ["docs/operating.md"])
def test_the_page_says_what_was_tried(page: str) -> None:
    assert "The image itself has not been built" in (ROOT / page).read_text(encoding="utf-8")
